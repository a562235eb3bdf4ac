# From nothing: a cluster, two Squid tasks in private subnets with NAT, GitHub's OIDC provider and a role for one
# repository's main branch.

module "culvert" {
  source = "../.."

  vpc_id          = var.vpc_id
  subnet_ids      = var.private_subnet_ids
  allowed_domains = var.allowed_domains
  github_subjects = ["repo:${var.repository}:ref:refs/heads/main"]
}

variable "vpc_id" {
  description = "VPC of the private hosts."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets with a NAT gateway."
  type        = list(string)
}

variable "allowed_domains" {
  description = "Hosts that workflows reach."
  type        = list(string)
}

variable "repository" {
  description = "GitHub repository as the subject names it: octo/shop, or octo@1234/shop@5678 for one made since 2026-07-15."
  type        = string
}

output "workflow_step" {
  description = "To be pasted into the workflow."
  value       = module.culvert.workflow_step
}
