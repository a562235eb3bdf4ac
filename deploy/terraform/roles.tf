locals {
  # Only ECS, and only for tasks of this account: no other account's task can talk it into handing out the role.
  task_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
      }
    }]
  })

  # An image in a private repository of ECR: registry account, region, repository.
  ecr          = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.", var.image)) ? regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[^/]+/([^:@]+)", var.image) : null
  relay_ecr    = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[^/]+/([^:@]+)", var.relay_image), null)
  repositories = [for of in [local.ecr, local.relay_ecr] : "arn:${local.partition}:ecr:${of[1]}:${of[0]}:repository/${of[2]}" if of != null]
}

# --- The task: what its exec agent needs, see "IAM permissions required for ECS Exec" ------------------------------

resource "aws_iam_role" "task" {
  count = var.create_service ? 1 : 0

  name                 = "${var.name}-task"
  description          = "culvert's proxy: opens Session Manager channels, nothing else"
  assume_role_policy   = local.task_trust
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "task" {
  count = var.create_service ? 1 : 0

  name = "sessions"
  role = aws_iam_role.task[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid    = "Agent"
      Effect = "Allow"
      Action = [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      Resource = ["*"] # these actions know no resource
      }], var.session_kms_key_arn == null ? [] : [{
      # The agent's half of an encrypted session.
      Sid      = "SessionKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [var.session_kms_key_arn]
    }])
  })
}

# --- ECS itself, before the task runs: the log, and the image if it is in a private repository ---------------------

resource "aws_iam_role" "execution" {
  count = var.create_service ? 1 : 0

  name                 = "${var.name}-execution"
  description          = "culvert's proxy: writes its log, pulls its image"
  assume_role_policy   = local.task_trust
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "execution" {
  count = var.create_service ? 1 : 0

  name = "start"
  role = aws_iam_role.execution[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${aws_cloudwatch_log_group.this[0].name}:*"]
      }],
      length(local.repositories) == 0 ? [] : [
        {
          Sid      = "Registry"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"] # knows no resource
        },
        {
          Sid      = "Image"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = distinct(local.repositories)
        },
      ],
      var.image_credentials_arn == null ? [] : [{
        Sid      = "Credentials"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [var.image_credentials_arn]
      }],
    )
  })
}
