# Without NAT: everything that the tasks need of AWS comes through endpoints, the image from a private repository. A
# pull-through cache rule for public.ecr.aws with the prefix ecr-public fills it at the first pull that somebody who may
# makes: docker pull ACCOUNT.dkr.ecr.REGION.amazonaws.com/ecr-public/ubuntu/squid:TAG

module "culvert" {
  source = "../.."

  vpc_id          = var.vpc_id
  subnet_ids      = var.private_subnet_ids
  allowed_domains = var.allowed_domains
  image           = var.image

  vpc_endpoints = { route_table_ids = var.route_table_ids }
}

variable "vpc_id" {
  description = "VPC of the private hosts; enableDnsSupport and enableDnsHostnames are on."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets without a way out, one per zone."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Their route tables, for the gateway endpoint of S3."
  type        = list(string)
}

variable "allowed_domains" {
  description = "Hosts that callers reach."
  type        = list(string)
}

variable "image" {
  description = "Squid in a private ECR repository of this region."
  type        = string
}

output "policy" {
  description = "For whoever may open tunnels."
  value       = module.culvert.caller_policy_arn
}

output "target" {
  description = "culvert --target."
  value       = module.culvert.target
}
