# Into a cluster that is there, with the account's OIDC provider; people at culvert's screen get the policy through their
# permission set, and a database is reached without the proxy.

module "culvert" {
  source = "../.."

  name           = "tools-proxy"
  create_cluster = false
  cluster_name   = "tools" # has the capacity provider FARGATE
  service_name   = "proxy"

  vpc_id            = var.vpc_id
  subnet_ids        = var.private_subnet_ids
  allowed_domains   = [".corp.example"]
  allowed_ports     = [80, 443, 8080]
  remote_host_ports = [5432]
  destination_cidrs = ["10.0.0.0/8"]

  github_oidc_provider_arn = var.github_oidc_provider_arn
  github_repository_ids    = var.github_repository_ids
  allow_browsing           = true
  own_channels_only        = false # Identity Center names the sessions of people
}

variable "vpc_id" {
  description = "VPC of the private hosts."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets with a NAT gateway."
  type        = list(string)
}

variable "github_oidc_provider_arn" {
  description = "The account's provider of token.actions.githubusercontent.com."
  type        = string
}

variable "github_repository_ids" {
  description = "Repositories whose workflows may open tunnels: gh api repos/owner/repository --jq .id."
  type        = list(string)
}

output "policy" {
  description = "For a permission set: the customer managed policy of this name."
  value       = module.culvert.caller_policy_arn
}

output "security_group_id" {
  description = "The database's security group must let it in on 5432."
  value       = module.culvert.security_group_id
}

output "target" {
  description = "culvert --target."
  value       = module.culvert.target
}
