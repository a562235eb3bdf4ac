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
    logConfiguration      = local.log
  }

  # Bonds sessions into faster ones. It needs nothing but the loopback address of the task, which it listens on and connects to, and
  # the task goes on without it. Sessions reach it by Squid's agent: one cannot run here, as nothing can be written.
  relay = {
    name                   = "culvert-relay"
    image                  = var.relay_image
    essential              = false
    user                   = "65534:65534" # nobody; by number, as an image need not name it
    readonlyRootFilesystem = true
    command                = ["relay", "--listen", "127.0.0.1:${local.relay_port}", "--to", "127.0.0.1:${var.port}"]
    dependsOn              = [{ containerName = local.container.name, condition = "HEALTHY" }]
    healthCheck = {
      command     = ["CMD", "/usr/bin/culvert", "relay", "--check"] # there is no shell
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 10
    }
    # culvert looks for a mapping of this name, and for no other. It opens nothing either.
    portMappings          = [{ name = "culvert-relay", containerPort = local.relay_port, hostPort = local.relay_port, protocol = "tcp" }]
    linuxParameters       = { capabilities = { drop = ["ALL"] } }
    restartPolicy         = { enabled = true } # of this container alone, a minute after it began at the earliest
    stopTimeout           = 30
    repositoryCredentials = local.relay_credentials ? local.container.repositoryCredentials : null
    logConfiguration      = local.log
  }
  relay_port = 7300
  # The secret is of the registry that image comes from.
  relay_credentials = var.relay_image == null ? false : split("/", var.relay_image)[0] == split("/", var.image)[0]

  log = {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = one(aws_cloudwatch_log_group.this[*].name)
      "awslogs-region"        = local.region
      "awslogs-stream-prefix" = var.service_name
    }
  }

  containers = [for c in [local.container, local.relay] : { for key, value in c : key => value if value != null } if c.image != null]
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
  container_definitions    = jsonencode(local.containers)
  tags                     = local.tags

  lifecycle {
    # The endpoints of ECR are for private repositories: of another registry, and of public.ecr.aws, nothing can be pulled.
    precondition {
      condition     = var.vpc_endpoints == null || local.ecr != null
      error_message = "image: with vpc_endpoints the tasks reach no public registry: name one of a private repository of ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
    }
    precondition {
      condition     = var.vpc_endpoints == null || var.relay_image == null || local.relay_ecr != null
      error_message = "relay_image: with vpc_endpoints the tasks reach no public registry: name one of a private repository of ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:DIGEST."
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
}
