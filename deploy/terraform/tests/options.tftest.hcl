# Each option, and what it changes.

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
}

variables {
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a", "subnet-0b"]
  allowed_domains = [".corp.example"]
}

run "nobody_from_github" {
  assert {
    condition     = length(aws_iam_role.caller) == 0 && length(aws_iam_role_policy.caller) == 0 && length(aws_iam_openid_connect_provider.github) == 0 && output.caller_role_arn == null && output.workflow_step == null
    error_message = "a role that nobody asked for"
  }
}

run "repository_ids" {
  variables {
    github_repository_ids    = ["123456", "42"]
    github_subjects          = ["repo:octo@1/shop@123456:environment:prod"]
    github_oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    role_session_seconds     = 7200
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && aws_iam_role.caller[0].max_session_duration == 7200
    error_message = "the account's provider is not used"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role.caller[0].assume_role_policy).Statement : s.Condition] == [
      {
        StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com" }
        StringLike   = { "token.actions.githubusercontent.com:sub" = ["repo:octo@1/shop@123456:environment:prod"] }
      },
      {
        StringEquals = {
          "token.actions.githubusercontent.com:aud"           = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:repository_id" = ["123456", "42"]
        }
        StringLike = { "token.actions.githubusercontent.com:sub" = ["repo:*"] }
      },
    ]
    error_message = "trust: ${aws_iam_role.caller[0].assume_role_policy}"
  }
}

run "existing_cluster" {
  variables {
    create_cluster = false
    cluster_name   = "shared_tools"
  }

  assert {
    condition     = length(aws_ecs_cluster.this) == 0 && length(aws_ecs_cluster_capacity_providers.this) == 0
    error_message = "made a cluster"
  }
  assert {
    condition     = aws_ecs_service.this[0].cluster == "arn:aws:ecs:eu-west-1:111122223333:cluster/shared_tools" && output.target == "shared_tools/squid"
    error_message = "service in ${aws_ecs_service.this[0].cluster}, target ${output.target}"
  }
}

run "spot" {
  variables {
    spot            = true
    on_demand_count = 2
    task_count      = 6
  }

  assert {
    condition = { for s in aws_ecs_service.this[0].capacity_provider_strategy : s.capacity_provider => [s.base, s.weight] } == {
      FARGATE      = [2, 0]
      FARGATE_SPOT = [0, 1]
    }
    error_message = jsonencode(aws_ecs_service.this[0].capacity_provider_strategy)
  }
}

run "autoscaling" {
  variables {
    autoscaling = { max_count = 10 }
  }

  assert {
    condition = (aws_appautoscaling_target.always[0].min_capacity == 2 && aws_appautoscaling_target.always[0].max_capacity == 10 &&
      aws_appautoscaling_target.always[0].resource_id == "service/automation/squid" &&
    length(aws_appautoscaling_target.scheduled) + length(aws_appautoscaling_scheduled_action.hours) == 0)
    error_message = jsonencode(aws_appautoscaling_target.always)
  }
  assert {
    condition     = { for name, policy in aws_appautoscaling_policy.load : name => one(policy.target_tracking_scaling_policy_configuration).target_value } == { cpu = 50, memory = 60 }
    error_message = jsonencode(aws_appautoscaling_policy.load)
  }
}

run "office_hours" {
  variables {
    autoscaling  = { max_count = 4, cpu_percent = 40 }
    office_hours = { open = "cron(0 7 ? * MON-FRI *)", close = "cron(0 19 ? * MON-FRI *)", timezone = "Europe/Berlin" }
  }

  assert {
    condition     = length(aws_appautoscaling_target.always) == 0 && length(aws_appautoscaling_target.scheduled) == 1
    error_message = "two targets for one service"
  }
  assert {
    condition = { for name, action in aws_appautoscaling_scheduled_action.hours :
      name => [action.schedule, action.timezone, tonumber(one(action.scalable_target_action).min_capacity), tonumber(one(action.scalable_target_action).max_capacity)]
      } == {
      open  = ["cron(0 7 ? * MON-FRI *)", "Europe/Berlin", 2, 4]
      close = ["cron(0 19 ? * MON-FRI *)", "Europe/Berlin", 0, 0]
    }
    error_message = jsonencode(aws_appautoscaling_scheduled_action.hours)
  }
}

run "without_nat" {
  variables {
    image         = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ecr-public/ubuntu/squid:6.6-24.04_beta"
    vpc_endpoints = { route_table_ids = ["rtb-0a"] }
  }

  assert {
    condition = toset([for e in aws_vpc_endpoint.interface : "${e.service_name} ${e.private_dns_enabled}"]) == toset([
      "com.amazonaws.eu-west-1.ssmmessages true", "com.amazonaws.eu-west-1.ecr.api true",
      "com.amazonaws.eu-west-1.ecr.dkr true", "com.amazonaws.eu-west-1.logs true",
    ])
    error_message = jsonencode(aws_vpc_endpoint.interface)
  }
  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-0a"])
    error_message = jsonencode(aws_vpc_endpoint.s3)
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].referenced_security_group_id == aws_security_group.task[0].id && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "who may reach the endpoints: ${jsonencode(aws_vpc_security_group_ingress_rule.endpoints)}"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : [s.Sid, s.Action, s.Resource]] == [
      ["Log", ["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/culvert:*"]],
      ["Registry", ["ecr:GetAuthorizationToken"], ["*"]],
      [
        "Image", ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        ["arn:aws:ecr:eu-west-1:111122223333:repository/ecr-public/ubuntu/squid"],
      ],
    ]
    error_message = "execution policy: ${aws_iam_role_policy.execution[0].policy}"
  }
}

run "remote_hosts" {
  variables {
    remote_host_ports = [5432]
    destination_cidrs = ["10.0.0.0/8"]
  }

  assert {
    condition = jsondecode(aws_iam_policy.caller.policy).Statement[1].Resource == [
      "arn:aws:ecs:eu-west-1:111122223333:task/automation/*",
      "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession",
      "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSessionToRemoteHost",
    ]
    error_message = "caller policy: ${aws_iam_policy.caller.policy}"
  }
  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.task)) == toset(["443 0.0.0.0/0", "443 10.0.0.0/8", "80 10.0.0.0/8", "5432 10.0.0.0/8"])
    error_message = jsonencode(keys(aws_vpc_security_group_egress_rule.task))
  }
}

run "every_remote_host" {
  variables {
    remote_hosts      = true
    destination_cidrs = ["10.0.0.0/8"]
  }

  assert {
    condition = jsondecode(aws_iam_policy.caller.policy).Statement[1].Resource == [
      "arn:aws:ecs:eu-west-1:111122223333:task/automation/*",
      "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession",
      "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSessionToRemoteHost",
    ]
    error_message = "caller policy: ${aws_iam_policy.caller.policy}"
  }
  assert {
    condition = { for r in aws_vpc_security_group_egress_rule.task : r.cidr_ipv4 => [r.from_port, r.to_port] } == {
      "0.0.0.0/0"  = [443, 443]
      "10.0.0.0/8" = [1, 65535]
    }
    error_message = jsonencode(aws_vpc_security_group_egress_rule.task)
  }
}

run "remote_hosts_on_some_ports" {
  variables {
    remote_hosts      = true
    remote_host_ports = [5432]
  }

  assert {
    condition     = toset([for r in aws_vpc_security_group_egress_rule.task : r.to_port]) == toset([80, 443, 5432])
    error_message = jsonencode(keys(aws_vpc_security_group_egress_rule.task))
  }
}

# No Squid, no task: any service with exec will do.
run "existing_service" {
  variables {
    create_service        = false
    create_cluster        = false
    vpc_id                = null
    subnet_ids            = []
    allowed_domains       = []
    cluster_name          = "shared_tools"
    service_name          = "web"
    remote_hosts          = true
    github_repository_ids = ["42"]
  }

  assert {
    condition = (length(aws_ecs_service.this) + length(aws_ecs_task_definition.this) + length(aws_ecs_cluster.this) + length(aws_security_group.task) + length(aws_vpc_security_group_egress_rule.task) +
      length(aws_iam_role.task) + length(aws_iam_role_policy.task) + length(aws_iam_role.execution) + length(aws_iam_role_policy.execution) + length(aws_cloudwatch_log_group.this) == 0
    )
    error_message = "something runs, or is there for what runs"
  }
  assert {
    condition     = length(aws_iam_role.caller) == 1 && output.target == "shared_tools/web" && output.security_group_id == null && output.log_group_name == null && output.squid_conf == null
    error_message = "target ${output.target}, security group ${jsonencode(output.security_group_id)}"
  }
  assert {
    condition     = jsondecode(aws_iam_policy.caller.policy).Statement[1].Resource[2] == "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSessionToRemoteHost"
    error_message = "caller policy: ${aws_iam_policy.caller.policy}"
  }
  assert {
    condition     = strcontains(output.workflow_step, "\n        dynamic: \"1080\"\n") && !strcontains(output.workflow_step, "forward:")
    error_message = output.workflow_step
  }
}

run "browsing" {
  variables {
    allow_browsing = true
  }

  assert {
    condition = [for s in slice(jsondecode(aws_iam_policy.caller.policy).Statement, 4, 6) : [s.Action, s.Resource]] == [
      [["ecs:ListClusters", "ecs:DescribeTaskDefinition"], ["*"]],
      [["ecs:DescribeClusters"], ["arn:aws:ecs:eu-west-1:111122223333:cluster/automation"]],
    ]
    error_message = "caller policy: ${aws_iam_policy.caller.policy}"
  }
}

run "addresses" {
  variables {
    allowed_domains = []
    allowed_cidrs   = ["10.1.0.0/16"]
  }

  assert {
    condition     = strcontains(output.squid_conf, "\nacl allowed_address dst -n 10.1.0.0/16\n") && strcontains(output.squid_conf, "\nhttp_access deny !allowed_address\n")
    error_message = output.squid_conf
  }
}

run "nothing_is_allowed" {
  variables {
    allowed_domains = []
  }

  assert {
    condition     = !strcontains(output.squid_conf, "http_access allow")
    error_message = output.squid_conf
  }
}

run "boundary_and_tags" {
  variables {
    permissions_boundary = "arn:aws:iam::111122223333:policy/boundary"
    tags                 = { team = "qa" }
  }

  assert {
    condition     = aws_iam_role.task[0].permissions_boundary == var.permissions_boundary && aws_iam_role.execution[0].permissions_boundary == var.permissions_boundary
    error_message = "a role without the boundary"
  }
  assert {
    condition     = aws_ecs_service.this[0].tags == tomap({ culvert = "culvert", team = "qa" })
    error_message = jsonencode(aws_ecs_service.this[0].tags)
  }
}

run "public_subnets_without_nat" {
  variables {
    assign_public_ip = true
    architecture     = "ARM64"
    cpu              = 512
    memory           = 1024
  }

  assert {
    condition     = one(aws_ecs_service.this[0].network_configuration).assign_public_ip && length(aws_vpc_endpoint.interface) == 0
    error_message = "the tasks have no way out: ${jsonencode(aws_ecs_service.this[0].network_configuration)}"
  }
  assert {
    condition     = one(aws_ecs_task_definition.this[0].runtime_platform).cpu_architecture == "ARM64" && aws_ecs_task_definition.this[0].cpu == "512" && aws_ecs_task_definition.this[0].memory == "1024"
    error_message = "task: ${jsonencode(aws_ecs_task_definition.this[0])}"
  }
}

# Scaled to zero by night, and the number of tasks by day is task_count.
run "office_hours_alone" {
  variables {
    task_count   = 3
    office_hours = { open = "cron(0 7 ? * MON-FRI *)", close = "cron(0 19 ? * MON-FRI *)" }
  }

  assert {
    condition = { for name, action in aws_appautoscaling_scheduled_action.hours :
      name => [tonumber(one(action.scalable_target_action).min_capacity), tonumber(one(action.scalable_target_action).max_capacity)]
    } == { open = [3, 3], close = [0, 0] }
    error_message = jsonencode(aws_appautoscaling_scheduled_action.hours)
  }
  assert {
    condition     = length(aws_appautoscaling_policy.load) == 0 && length(aws_appautoscaling_target.always) == 0
    error_message = "scaling that nobody asked for"
  }
}

# On demand: nothing runs until culvert --run or --start wants it.
run "nothing_runs_until_it_is_wanted" {
  command = plan

  variables {
    task_count = 0
  }

  assert {
    condition     = aws_appautoscaling_target.always[0].min_capacity == 0 && aws_appautoscaling_target.always[0].max_capacity == 0
    error_message = "something runs: ${jsonencode(aws_appautoscaling_target.always[0])}"
  }
}
