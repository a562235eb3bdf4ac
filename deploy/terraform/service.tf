resource "aws_ecs_service" "this" {
  count = var.create_service ? 1 : 0

  name             = var.service_name
  cluster          = var.create_cluster ? aws_ecs_cluster.this[0].arn : local.cluster_arn
  task_definition  = aws_ecs_task_definition.this[0].arn
  desired_count    = var.task_count
  platform_version = "LATEST"
  # What makes the tunnel possible. Switched on later it would hold for new tasks only.
  enable_execute_command  = true
  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"
  tags                    = local.tags

  # New tasks come before old ones go; a deployment that does not get healthy is taken back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.spot ? { FARGATE = 0, FARGATE_SPOT = 1 } : { FARGATE = 1 }

    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value
      base              = var.spot && capacity_provider_strategy.key == "FARGATE" ? var.on_demand_count : 0
    }
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = concat([aws_security_group.task[0].id], var.security_group_ids)
    assign_public_ip = var.assign_public_ip
  }

  lifecycle {
    ignore_changes = [desired_count] # the scalable target's (scaling.tf), and people's
  }

  # Without its policy the first agents would find the door closed and stay down.
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution, aws_ecs_cluster_capacity_providers.this, aws_iam_service_linked_role.ecs]
}
