# The container that bonds sessions: none unless it is asked for, and then one that can do nothing else.

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
  subnet_ids      = ["subnet-0a"]
  allowed_domains = [".corp.example"]
  cpu             = 1024
  memory          = 2048
}

run "none_by_default" {
  assert {
    condition     = [for c in jsondecode(aws_ecs_task_definition.this[0].container_definitions) : c.name] == ["squid"]
    error_message = "containers: ${aws_ecs_task_definition.this[0].container_definitions}"
  }
  assert {
    condition     = !strcontains(aws_iam_policy.caller.policy, "DescribeTaskDefinition")
    error_message = "callers may read task definitions although there is nothing to find: ${aws_iam_policy.caller.policy}"
  }
}

run "one_beside_the_proxy" {
  variables {
    port        = 3129
    relay_image = "ghcr.io/owner/culvert:1.0.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[1] == {
      name                   = "culvert-relay"
      image                  = var.relay_image
      essential              = false
      user                   = "65534:65534"
      readonlyRootFilesystem = true
      command                = ["relay", "--listen", "127.0.0.1:7300", "--to", "127.0.0.1:3129"]
      dependsOn              = [{ containerName = "squid", condition = "HEALTHY" }]
      healthCheck            = { command = ["CMD", "/usr/bin/culvert", "relay", "--check"], interval = 10, timeout = 5, retries = 3, startPeriod = 10 }
      portMappings           = [{ name = "culvert-relay", containerPort = 7300, hostPort = 7300, protocol = "tcp" }]
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      restartPolicy          = { enabled = true }
      stopTimeout            = 30
      logConfiguration       = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].logConfiguration
    }
    error_message = "containers: ${aws_ecs_task_definition.this[0].container_definitions}"
  }
  assert {
    condition     = length(jsondecode(aws_ecs_task_definition.this[0].container_definitions)) == 2 && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].essential
    error_message = "containers: ${aws_ecs_task_definition.this[0].container_definitions}"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_policy.caller.policy).Statement : s if s.Sid == "FindRelay"] == [{ Sid = "FindRelay", Effect = "Allow", Action = ["ecs:DescribeTaskDefinition"], Resource = ["*"] }]
    error_message = "callers cannot find the relay: ${aws_iam_policy.caller.policy}"
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.task[0].policy).Statement) == 1 && aws_security_group.task[0].ingress == null || length(aws_security_group.task[0].ingress) == 0
    error_message = "the relay is given more than the proxy has: ${aws_iam_role_policy.task[0].policy}"
  }
}

run "from_a_private_registry" {
  variables {
    image                 = "registry.corp.example/squid:6.13"
    image_credentials_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:registry-AbCdEf"
    relay_image           = "registry.corp.example/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    allow_browsing        = true
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[1].repositoryCredentials.credentialsParameter == var.image_credentials_arn
    error_message = "the registry is not logged in to"
  }
  assert {
    condition     = length([for s in jsondecode(aws_iam_policy.caller.policy).Statement : s if s.Sid == "FindRelay"]) == 0
    error_message = "the same permission twice: ${aws_iam_policy.caller.policy}"
  }
}

run "the_secret_goes_to_its_own_registry_alone" {
  variables {
    image                 = "registry.corp.example/squid:6.13"
    image_credentials_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:registry-AbCdEf"
    relay_image           = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.this[0].container_definitions)[1].repositoryCredentials)
    error_message = "another registry gets the secret: ${aws_ecs_task_definition.this[0].container_definitions}"
  }
}

run "from_ecr" {
  variables {
    vpc_endpoints = {}
    image         = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/ubuntu/squid:6.6"
    relay_image   = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/github/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : s.Resource if s.Sid == "Image"]) == [
      "arn:aws:ecr:eu-west-1:111122223333:repository/docker-hub/ubuntu/squid",
      "arn:aws:ecr:eu-west-1:111122223333:repository/github/owner/culvert",
    ]
    error_message = "execution policy: ${aws_iam_role_policy.execution[0].policy}"
  }
}

run "from_ecr_beside_a_public_proxy" {
  variables {
    relay_image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : s.Resource if s.Sid == "Image"]) == ["arn:aws:ecr:eu-west-1:111122223333:repository/culvert"]
    error_message = "execution policy: ${aws_iam_role_policy.execution[0].policy}"
  }
}

run "public_where_no_public_registry_is_reached" {
  command = plan

  variables {
    vpc_endpoints = {}
    image         = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/ubuntu/squid:6.6"
    relay_image   = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "by_tag" {
  command = plan

  variables {
    relay_image = "ghcr.io/owner/culvert:1.0.0"
  }

  expect_failures = [var.relay_image]
}

run "by_half_a_digest" {
  command = plan

  variables {
    relay_image = "ghcr.io/owner/culvert@sha256:0123456789abcdef"
  }

  expect_failures = [var.relay_image]
}

run "in_too_small_a_task" {
  command = plan

  variables {
    cpu         = 512
    memory      = 1024
    relay_image = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.relay_image]
}

run "on_the_proxys_port" {
  command = plan

  variables {
    port        = 7300
    relay_image = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.relay_image]
}

run "in_a_service_that_is_there" {
  command = plan

  variables {
    create_service = false
    create_cluster = false
    relay_image    = "ghcr.io/owner/culvert@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.relay_image]
}
