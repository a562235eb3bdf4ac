locals {
  most  = var.autoscaling == null ? var.task_count : var.autoscaling.max_count
  scale = { service_namespace = "ecs", dimension = "ecs:service:DesiredCount", resource = "service/${var.cluster_name}/${var.service_name}" }

  hours = var.office_hours == null ? {} : {
    open  = { schedule = var.office_hours.open, least = var.task_count, most = local.most }
    close = { schedule = var.office_hours.close, least = 0, most = 0 }
  }
}

# Without autoscaling both bounds are task_count, so that the service follows it: what is registered anew moves the service into its
# bounds (RegisterScalableTarget), and between two applies people may scale by hand.
resource "aws_appautoscaling_target" "always" {
  count = var.create_service && var.office_hours == null ? 1 : 0

  service_namespace  = local.scale.service_namespace
  scalable_dimension = local.scale.dimension
  resource_id        = local.scale.resource
  min_capacity       = var.task_count
  max_capacity       = local.most

  depends_on = [aws_ecs_service.this]
}

# Its own resource, as the schedule writes its bounds: an apply at night must not open the office.
resource "aws_appautoscaling_target" "scheduled" {
  count = var.office_hours == null ? 0 : 1

  service_namespace  = local.scale.service_namespace
  scalable_dimension = local.scale.dimension
  resource_id        = local.scale.resource
  min_capacity       = var.task_count
  max_capacity       = local.most

  lifecycle {
    ignore_changes = [min_capacity, max_capacity]
  }

  depends_on = [aws_ecs_service.this]
}

# Either adds tasks; both must agree before one goes.
resource "aws_appautoscaling_policy" "load" {
  for_each = var.autoscaling == null ? {} : {
    cpu    = { metric = "ECSServiceAverageCPUUtilization", percent = var.autoscaling.cpu_percent }
    memory = { metric = "ECSServiceAverageMemoryUtilization", percent = var.autoscaling.memory_percent }
  }

  name               = "${var.name}-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = local.scale.service_namespace
  scalable_dimension = local.scale.dimension
  resource_id        = local.scale.resource

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.percent
    scale_out_cooldown = 60
    scale_in_cooldown  = 600 # a task that goes breaks the connections it carries: let it go rarely

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
    }
  }

  depends_on = [aws_appautoscaling_target.always, aws_appautoscaling_target.scheduled]
}

resource "aws_appautoscaling_scheduled_action" "hours" {
  for_each = local.hours

  name               = "${var.name}-${each.key}"
  service_namespace  = local.scale.service_namespace
  scalable_dimension = local.scale.dimension
  resource_id        = local.scale.resource
  schedule           = each.value.schedule
  timezone           = var.office_hours.timezone

  scalable_target_action {
    min_capacity = each.value.least
    max_capacity = each.value.most
  }

  depends_on = [aws_appautoscaling_target.scheduled]
}
