output "target" {
  description = "For culvert --target."
  value       = local.target
}

output "region" {
  description = "For culvert --region."
  value       = local.region
}

output "caller_role_arn" {
  description = "For culvert --role-arn in a GitHub workflow; null without github_subjects and github_repository_ids."
  value       = local.github ? aws_iam_role.caller[0].arn : null
}

output "caller_policy_arn" {
  description = "Attach it to whoever else may open tunnels, such as a permission set of IAM Identity Center (with own_channels_only = false)."
  value       = aws_iam_policy.caller.arn
}

output "security_group_id" {
  description = "Of the tasks: the destinations' security groups must let it in. null without a service of this module."
  value       = one(aws_security_group.task[*].id)
}

output "log_group_name" {
  description = "Where the proxy's access log is; null without a service of this module."
  value       = one(aws_cloudwatch_log_group.this[*].name)
}

output "squid_conf" {
  description = "The configuration as the tasks have it; null without a service of this module."
  value       = var.create_service ? local.squid_conf : null
}

output "workflow_step" {
  description = "A job for a GitHub workflow, to be pasted below jobs: and filled in; null without a caller role."
  value = !local.github ? null : templatefile("${path.module}/workflow.yml.tftpl", {
    action   = var.action
    role     = aws_iam_role.caller[0].arn
    duration = var.role_session_seconds
    region   = local.region
    target   = local.target
    port     = var.create_service ? var.port : null # without the proxy it is any host
    host     = try(trimprefix(var.allowed_domains[0], "."), "HOST")
  })
}
