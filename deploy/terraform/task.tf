locals {
  squid_home = "/tmp/culvert-squid"

  squid_conf = templatefile("${path.module}/squid.conf.tftpl", {
    hostname = "${var.name}.invalid" # for error pages; a name that never resolves
    home     = local.squid_home
    port     = var.port
    ports    = var.allowed_ports
    domains  = var.allowed_domains
    cidrs    = var.allowed_cidrs
  })

  container = {
    name      = "squid"
    image     = var.image
    essential = true
    # As root Squid drops to this user, who may then not write to /dev/stdout: a fatal error. So it starts as it.
    user       = "proxy"
    entryPoint = ["/bin/sh", "-c"]
    command = [join(" && ", [
      "mkdir -p ${local.squid_home}",
      "echo \"$SQUID_CONF\" | base64 -d > ${local.squid_home}/squid.conf",
      "exec squid -N -f ${local.squid_home}/squid.conf",
    ])]
    environment = [{ name = "SQUID_CONF", value = base64encode(local.squid_conf) }]
    healthCheck = {
      command     = ["CMD-SHELL", "squid -k check -f ${local.squid_home}/squid.conf"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 10
    }
    # Without a mapping culvert does not know which container has the port. It opens nothing: Squid listens on loopback.
    portMappings = [{ name = "proxy", containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    # The exec agent leaves orphans behind, which an init reaps.
    linuxParameters       = { initProcessEnabled = true }
    ulimits               = [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
    stopTimeout           = 30
    repositoryCredentials = var.image_credentials_arn == null ? null : { credentialsParameter = var.image_credentials_arn }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = one(aws_cloudwatch_log_group.this[*].name)
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = var.service_name
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  count = var.create_service ? 1 : 0

  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = local.tags
}

resource "aws_ecs_task_definition" "this" {
  count = var.create_service ? 1 : 0

  family                   = "${var.name}-${var.service_name}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task[0].arn
  execution_role_arn       = aws_iam_role.execution[0].arn
  container_definitions    = jsonencode([{ for key, value in local.container : key => value if value != null }])
  tags                     = local.tags

  lifecycle {
    # The endpoints of ECR are for private repositories: of another registry, and of public.ecr.aws, nothing can be pulled.
    precondition {
      condition     = var.vpc_endpoints == null || local.ecr != null
      error_message = "image: with vpc_endpoints the tasks reach no public registry: name one of a private repository of ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
}
