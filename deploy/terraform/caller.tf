locals {
  documents = concat(
    ["AWS-StartPortForwardingSession"],
    !var.remote_hosts && length(var.remote_host_ports) == 0 ? [] : ["AWS-StartPortForwardingSessionToRemoteHost"],
  )
  session  = "arn:${local.partition}:ssm:${local.region}:${local.account}:session"
  sessions = ["${local.session}/*"]
  # AWS's sample policies name a caller's own sessions by $${aws:userid}; every id that has been seen begins with the name of a
  # user or of a role's session instead, so both are named; no role has a user's name.
  own_sessions = ["${local.session}/$${aws:userid}-*", "${local.session}/$${aws:username, 'nobody'}-*", "${local.session}/culvert-*"]

  # The same as `culvert doctor policy` prints, a test holds them together; EndEarlier is at the role, below.
  caller_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "Find"
          Effect    = "Allow"
          Action    = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:ListServices", "ecs:DescribeServices"]
          Resource  = ["*"] # ListTasks and ListServices know no other; the condition holds for all four
          Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arn } }
        },
        {
          Sid    = "Tunnel"
          Effect = "Allow"
          Action = ["ssm:StartSession"]
          Resource = concat(
            [local.task_arns],
            [for name in local.documents : "arn:${local.partition}:ssm:${local.region}::document/${name}"], # AWS's own: no account
          )
          # Without it a session without a document, which is a shell, would need no permission for that document.
          Condition = { BoolIfExists = { "ssm:SessionDocumentAccessCheck" = "true" } }
        },
        {
          Sid      = "Channel"
          Effect   = "Allow"
          Action   = ["ssmmessages:OpenDataChannel"]
          Resource = var.own_channels_only ? local.own_sessions : local.sessions
        },
        {
          Sid       = "EndOwn"
          Effect    = "Allow"
          Action    = ["ssm:TerminateSession", "ssm:ResumeSession"]
          Resource  = local.sessions
          Condition = { StringLike = { "ssm:resourceTag/aws:ssmmessages:session-id" = ["$${aws:userid}"] } }
        },
      ],
      var.allow_browsing ? [
        {
          Sid      = "Browse"
          Effect   = "Allow"
          Action   = ["ecs:ListClusters", "ecs:DescribeTaskDefinition"]
          Resource = ["*"] # they know no other
        },
        {
          Sid      = "BrowseCluster"
          Effect   = "Allow"
          Action   = ["ecs:DescribeClusters"]
          Resource = [local.cluster_arn]
        },
      ] : [],
      local.ondemand_statements,
      # By it culvert knows the relay, and what the task affords.
      var.relay_image == null || var.allow_browsing ? [] : [{
        Sid      = "FindRelay"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTaskDefinition"]
        Resource = ["*"] # it knows no other
      }],
      var.session_kms_key_arn == null ? [] : [{
        Sid      = "SessionKey"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey"]
        Resource = [var.session_kms_key_arn]
      }],
    )
  })
}

resource "aws_iam_policy" "caller" {
  name        = "${var.name}-caller"
  description = "May open culvert's tunnels to ${var.cluster_name}: port forwarding, no shell"
  policy      = local.caller_policy
  tags        = local.tags
}

# --- GitHub Actions -------------------------------------------------------------------------------------------------

locals {
  github = length(var.github_subjects) + length(var.github_repository_ids) > 0
  issuer = "token.actions.githubusercontent.com"

  # Either a subject or a repository id will do, so each has a statement of its own.
  github_conditions = concat(
    length(var.github_subjects) == 0 ? [] : [{
      StringEquals = { "${local.issuer}:aud" = "sts.amazonaws.com" }
      StringLike   = { "${local.issuer}:sub" = var.github_subjects }
    }],
    length(var.github_repository_ids) == 0 ? [] : [{
      StringEquals = {
        "${local.issuer}:aud"           = "sts.amazonaws.com"
        "${local.issuer}:repository_id" = var.github_repository_ids
      }
      # IAM wants every trust in GitHub to look at the subject.
      StringLike = { "${local.issuer}:sub" = ["repo:*"] }
    }],
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count = local.github && var.github_oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = local.tags
}

resource "aws_iam_role" "caller" {
  count = local.github ? 1 : 0

  name                 = "${var.name}-caller"
  description          = "GitHub workflows that open culvert's tunnels to ${var.cluster_name}"
  max_session_duration = var.role_session_seconds
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for condition in local.github_conditions : {
      Effect    = "Allow"
      Principal = { Federated = var.github_oidc_provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.github_oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = condition
    }]
  })
}

resource "aws_iam_role_policy_attachment" "caller" {
  count = local.github ? 1 : 0

  role       = aws_iam_role.caller[0].name
  policy_arn = aws_iam_policy.caller.arn
}

# Apart from the policy, which others may have too: it is about this role, whose id has to be known first.
resource "aws_iam_role_policy" "caller" {
  count = local.github ? 1 : 0

  name = "end-earlier"
  role = aws_iam_role.caller[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.ondemand_of_role, [{
      # A session's owner is ROLEID:culvert-RUN-ATTEMPT, and a killed job is cleaned up by a later run.
      Sid       = "EndEarlier"
      Effect    = "Allow"
      Action    = ["ssm:TerminateSession"]
      Resource  = local.sessions
      Condition = { StringLike = { "ssm:resourceTag/aws:ssmmessages:session-id" = ["${aws_iam_role.caller[0].unique_id}:culvert-*"] } }
    }])
  })
}
