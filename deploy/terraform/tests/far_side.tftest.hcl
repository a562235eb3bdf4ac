# What a review of a real network asks for.

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

run "nothing_of_it_by_default" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.dns) == 0 && length(aws_iam_service_linked_role.ecs) == 0 && aws_cloudwatch_log_group.this[0].kms_key_id == null
    error_message = "something that nobody asked for"
  }
  assert {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image)) && can(regex("squid:6[.]", var.image))
    error_message = "the default image is not pinned: ${var.image}"
  }
}

run "the_number_of_tasks_follows" {
  command = plan

  variables {
    task_count = 3
  }

  assert {
    condition     = aws_appautoscaling_target.always[0].min_capacity == 3 && aws_appautoscaling_target.always[0].max_capacity == 3 && aws_ecs_service.this[0].desired_count == 3
    error_message = "task_count changes nothing"
  }
  assert {
    condition     = length(aws_appautoscaling_policy.load) == 0
    error_message = "a policy that nobody asked for"
  }
}

run "resolvers_of_ones_own" {
  command = plan

  variables {
    dns_servers = ["10.9.0.53", "10.8.0.0/28"]
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_egress_rule.dns : "${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.cidr_ipv4}"]) == toset(["udp 53-53 10.9.0.53/32", "tcp 53-53 10.9.0.53/32", "udp 53-53 10.8.0.0/28", "tcp 53-53 10.8.0.0/28"])
    error_message = "the resolvers cannot be asked"
  }
}

run "endpoints_and_a_public_image" {
  command = plan

  variables {
    vpc_endpoints = {}
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "endpoints_and_an_image_of_the_public_gallery" {
  command = plan

  variables {
    vpc_endpoints = {}
    image         = "public.ecr.aws/ubuntu/squid:6.6-24.04_beta"
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "registry_groups_and_keys" {
  variables {
    image                      = "registry.corp.example/squid:6.13"
    image_credentials_arn      = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:registry-AbCdEf"
    security_group_ids         = ["sg-0b", "sg-0c"]
    log_kms_key_arn            = "arn:aws:kms:eu-west-1:111122223333:key/0a"
    session_kms_key_arn        = "arn:aws:kms:eu-west-1:111122223333:key/0b"
    create_service_linked_role = true
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].repositoryCredentials.credentialsParameter == var.image_credentials_arn
    error_message = "the registry is not logged in to"
  }
  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : join(" ", concat(s.Action, s.Resource))], "secretsmanager:GetSecretValue ${var.image_credentials_arn}")
    error_message = "ECS may not read the secret: ${aws_iam_role_policy.execution[0].policy}"
  }
  assert {
    condition     = length(one(aws_ecs_service.this[0].network_configuration).security_groups) == 3 && length(setsubtract(["sg-0b", "sg-0c"], one(aws_ecs_service.this[0].network_configuration).security_groups)) == 0
    error_message = "the security groups are not the tasks'"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this[0].kms_key_id == var.log_kms_key_arn && aws_iam_service_linked_role.ecs[0].aws_service_name == "ecs.amazonaws.com"
    error_message = "neither key nor role"
  }
  assert {
    condition     = contains([for s in jsondecode(aws_iam_policy.caller.policy).Statement : join(" ", concat(s.Action, s.Resource))], "kms:GenerateDataKey ${var.session_kms_key_arn}") && contains([for s in jsondecode(aws_iam_role_policy.task[0].policy).Statement : join(" ", concat(s.Action, s.Resource))], "kms:Decrypt ${var.session_kms_key_arn}")
    error_message = "an encrypted session cannot begin"
  }
}

run "sessions_that_another_program_names" {
  variables {
    own_channels_only = false
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_policy.caller.policy).Statement : s.Resource if s.Sid == "Channel"]) == ["arn:aws:ssm:eu-west-1:111122223333:session/*"]
    error_message = "not every session's channel: ${aws_iam_policy.caller.policy}"
  }
}

run "a_longer_role" {
  variables {
    github_subjects      = ["repo:octo/shop:ref:refs/heads/main"]
    role_session_seconds = 7200
  }

  assert {
    condition     = strcontains(output.workflow_step, "role-duration: 7200s\n") && aws_iam_role.caller[0].max_session_duration == 7200
    error_message = "the workflow does not ask for it: ${output.workflow_step}"
  }
}

run "what_makes_no_sense" {
  command = plan

  variables {
    dns_servers           = ["resolver.corp.example"]
    security_group_ids    = ["default"]
    log_kms_key_arn       = "alias/log"
    session_kms_key_arn   = "alias/session"
    image_credentials_arn = "registry"
  }

  expect_failures = [var.dns_servers, var.security_group_ids, var.log_kms_key_arn, var.session_kms_key_arn, var.image_credentials_arn]
}
