# For many jobs by day and none at night: two tasks that stay, up to twenty on Spot when they get busy, none outside
# office hours. docs/capacity.md has the arithmetic.

module "culvert" {
  source = "../.."

  vpc_id          = var.vpc_id
  subnet_ids      = var.private_subnet_ids
  allowed_domains = var.allowed_domains
  github_subjects = var.github_subjects

  cpu             = 512
  memory          = 1024
  task_count      = 2
  spot            = true
  on_demand_count = 1
  autoscaling     = { max_count = 20, cpu_percent = 50 }
  office_hours = {
    open     = "cron(0 6 ? * MON-FRI *)"
    close    = "cron(0 20 ? * MON-FRI *)"
    timezone = "Europe/Berlin"
  }
}

variable "vpc_id" {
  description = "VPC of the private hosts."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets with a NAT gateway, in several zones: Spot has more to give."
  type        = list(string)
}

variable "allowed_domains" {
  description = "Hosts that workflows reach."
  type        = list(string)
}

variable "github_subjects" {
  description = "Who may open tunnels, verbatim as GitHub's token says it."
  type        = list(string)
}

output "target" {
  description = "culvert --target."
  value       = module.culvert.target
}
