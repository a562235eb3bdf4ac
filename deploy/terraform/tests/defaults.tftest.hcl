# What a caller gets who says as little as possible.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  override_resource {
    target = aws_iam_openid_connect_provider.github
    values = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
  override_resource {
    target = aws_iam_role.caller
    values = { arn = "arn:aws:iam::111122223333:role/culvert-caller", unique_id = "AROAEXAMPLEEXAMPLE000" }
  }
}

variables {
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a", "subnet-0b"]
  allowed_domains = ["orders.internal", ".corp.example"]
  github_subjects = ["repo:octo/shop:ref:refs/heads/main"]
}

run "defaults" {
  assert {
    condition     = output.target == "automation/squid" && output.region == "eu-west-1"
    error_message = "target ${output.target}, region ${output.region}"
  }

  # --- The caller: exactly these statements -----------------------------------------------------------------------
  assert {
    condition = jsondecode(aws_iam_policy.caller.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Find"
          Effect    = "Allow"
          Action    = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:ListServices", "ecs:DescribeServices"]
          Resource  = ["*"]
          Condition = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:eu-west-1:111122223333:cluster/automation" } }
        },
        {
          Sid    = "Tunnel"
          Effect = "Allow"
          Action = ["ssm:StartSession"]
          Resource = [
            "arn:aws:ecs:eu-west-1:111122223333:task/automation/*",
            "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession",
          ]
          Condition = { BoolIfExists = { "ssm:SessionDocumentAccessCheck" = "true" } }
        },
        {
          Sid    = "Channel"
          Effect = "Allow"
          Action = ["ssmmessages:OpenDataChannel"]
          Resource = [
            "arn:aws:ssm:eu-west-1:111122223333:session/$${aws:userid}-*",
            "arn:aws:ssm:eu-west-1:111122223333:session/$${aws:username, 'nobody'}-*",
            "arn:aws:ssm:eu-west-1:111122223333:session/culvert-*",
          ]
        },
        {
          Sid       = "EndOwn"
          Effect    = "Allow"
          Action    = ["ssm:TerminateSession", "ssm:ResumeSession"]
          Resource  = ["arn:aws:ssm:eu-west-1:111122223333:session/*"]
          Condition = { StringLike = { "ssm:resourceTag/aws:ssmmessages:session-id" = ["$${aws:userid}"] } }
        },
      ]
    }
    error_message = "caller policy: ${aws_iam_policy.caller.policy}"
  }
  assert {
    condition = jsondecode(aws_iam_role.caller[0].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com" }
          StringLike   = { "token.actions.githubusercontent.com:sub" = ["repo:octo/shop:ref:refs/heads/main"] }
        }
      }]
    }
    error_message = "trust in GitHub: ${aws_iam_role.caller[0].assume_role_policy}"
  }
  assert {
    condition     = aws_iam_role_policy_attachment.caller[0].policy_arn == aws_iam_policy.caller.arn
    error_message = "the role has another policy"
  }
  assert {
    condition = aws_iam_role_policy.caller[0].role == "culvert-caller" && jsondecode(aws_iam_role_policy.caller[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "EndEarlier"
        Effect    = "Allow"
        Action    = ["ssm:TerminateSession"]
        Resource  = ["arn:aws:ssm:eu-west-1:111122223333:session/*"]
        Condition = { StringLike = { "ssm:resourceTag/aws:ssmmessages:session-id" = ["AROAEXAMPLEEXAMPLE000:culvert-*"] } }
      }]
    }
    error_message = "what a later run may end: ${aws_iam_role_policy.caller[0].policy}"
  }

  # --- The task ---------------------------------------------------------------------------------------------------
  assert {
    condition = jsondecode(aws_iam_role_policy.task[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid    = "Agent"
        Effect = "Allow"
        Action = [
          "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
        ]
        Resource = ["*"]
      }]
    }
    error_message = "task policy: ${aws_iam_role_policy.task[0].policy}"
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.execution[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/culvert:*"]
      }]
    }
    error_message = "execution policy: ${aws_iam_role_policy.execution[0].policy}"
  }
  assert {
    condition = alltrue([for role in [aws_iam_role.task[0], aws_iam_role.execution[0]] : jsondecode(role.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "111122223333" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:eu-west-1:111122223333:*" }
        }
      }]
    }])
    error_message = "trust in ECS: ${aws_iam_role.task[0].assume_role_policy}"
  }
  assert {
    condition = alltrue([for c in jsondecode(aws_ecs_task_definition.this[0].container_definitions) :
      c.user == "proxy" && c.linuxParameters.initProcessEnabled && c.essential &&
      !can(c.readonlyRootFilesystem) && # the exec agent writes to it
      !strcontains(base64decode(c.environment[0].value), "AWS_") &&
      [for e in c.environment : e.name] == ["SQUID_CONF"] && # AWS_* keys would become the agent's
      base64decode(c.environment[0].value) == output.squid_conf
    ])
    error_message = "container: ${aws_ecs_task_definition.this[0].container_definitions}"
  }

  # --- The service ------------------------------------------------------------------------------------------------
  assert {
    condition = (aws_ecs_service.this[0].enable_execute_command && aws_ecs_service.this[0].propagate_tags == "SERVICE" &&
      aws_ecs_service.this[0].deployment_minimum_healthy_percent == 100 &&
      one(aws_ecs_service.this[0].deployment_circuit_breaker).rollback &&
      one(aws_ecs_service.this[0].capacity_provider_strategy).capacity_provider == "FARGATE" &&
    one(aws_ecs_service.this[0].network_configuration).assign_public_ip == false)
    error_message = "service: ${jsonencode(aws_ecs_service.this[0])}"
  }
  assert {
    condition     = length(aws_appautoscaling_policy.load) + length(aws_appautoscaling_target.scheduled) + length(aws_vpc_endpoint.interface) == 0
    error_message = "scaling or endpoints that nobody asked for"
  }

  # --- The network ------------------------------------------------------------------------------------------------
  assert {
    condition     = aws_security_group.task[0].ingress == null || length(aws_security_group.task[0].ingress) == 0
    error_message = "the task's security group lets something in"
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_egress_rule.task : "${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.cidr_ipv4}"]) == toset(["tcp 443-443 0.0.0.0/0", "tcp 80-80 0.0.0.0/0"])
    error_message = "egress: ${jsonencode(keys(aws_vpc_security_group_egress_rule.task))}"
  }

  # --- The step that a workflow needs -----------------------------------------------------------------------------
  assert {
    condition = alltrue([
      yamldecode(output.workflow_step)["through-the-proxy"].permissions["id-token"] == "write",
      yamldecode(output.workflow_step)["through-the-proxy"].steps[0].with == {
        "role-arn" = "arn:aws:iam::111122223333:role/culvert-caller"
        region     = "eu-west-1"
        target     = "automation/squid"
        forward    = "3128"
      },
      yamldecode(output.workflow_step)["through-the-proxy"].steps[1].env.PROXY_URL == "$${{ steps.culvert.outputs.proxy-url }}",
      endswith(yamldecode(output.workflow_step)["through-the-proxy"].steps[1].run, " https://orders.internal/"),
    ])
    error_message = "workflow step: ${output.workflow_step}"
  }
}
