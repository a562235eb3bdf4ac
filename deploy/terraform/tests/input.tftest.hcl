# What is refused before anything is made. A run names every variable that must refuse.

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
}

run "wrong_forms" {
  command = plan

  variables {
    name                     = "Upper"
    cluster_name             = "arn:aws:ecs:eu-west-1:111122223333:cluster/x"
    service_name             = "a b"
    tags                     = { "aws:x" = "y" }
    vpc_id                   = "net-1"
    subnet_ids               = []
    destination_cidrs        = ["10.0.0.0"]
    vpc_endpoints            = { services = ["ssm"] }
    allowed_domains          = ["https://orders.internal/"]
    allowed_cidrs            = ["orders.internal"]
    allowed_ports            = [0]
    remote_host_ports        = [70000]
    image                    = "ubuntu/squid"
    port                     = 80
    cpu                      = 300
    architecture             = "arm"
    task_count               = 1.5
    on_demand_count          = -1
    office_hours             = { open = "07:00", close = "19:00" }
    log_retention_days       = 8
    github_subjects          = ["repo:*:*"]
    github_repository_ids    = ["octo/shop"]
    github_oidc_provider_arn = "token.actions.githubusercontent.com"
    role_session_seconds     = 60
    permissions_boundary     = "boundary"
    action                   = "culvert"
  }

  expect_failures = [
    var.name, var.cluster_name, var.service_name, var.tags, var.vpc_id, var.subnet_ids, var.destination_cidrs, var.vpc_endpoints,
    var.allowed_domains, var.allowed_cidrs, var.allowed_ports, var.remote_host_ports, var.image, var.port, var.cpu,
    var.architecture, var.task_count, var.on_demand_count, var.office_hours, var.log_retention_days,
    var.github_subjects, var.github_repository_ids, var.github_oidc_provider_arn, var.role_session_seconds,
    var.permissions_boundary, var.action,
  ]
}

run "twice" {
  command = plan

  variables {
    subnet_ids      = ["subnet-0a", "subnet-0a"]
    allowed_ports   = [443, 443]
    allowed_domains = ["a.example", "a.example"]
  }

  expect_failures = [var.subnet_ids, var.allowed_ports, var.allowed_domains]
}

run "below_a_domain_that_is_there" {
  command = plan

  variables {
    allowed_domains = [".corp.example", "a.corp.example"]
  }

  expect_failures = [var.allowed_domains]
}

run "the_domain_and_its_apex" {
  command = plan

  variables {
    allowed_domains = ["corp.example", ".corp.example"]
  }

  expect_failures = [var.allowed_domains]
}

run "an_address_as_a_name" {
  command = plan

  variables {
    allowed_domains = ["10.0.0.1"]
  }

  expect_failures = [var.allowed_domains]
}

run "a_line_of_configuration_as_a_name" {
  command = plan

  variables {
    allowed_domains = ["a.example\nhttp_access allow all"]
  }

  expect_failures = [var.allowed_domains]
}

run "every_domain" {
  command = plan

  variables {
    allowed_domains = ["."]
  }

  expect_failures = [var.allowed_domains]
}

run "an_image_that_moves" {
  command = plan

  variables {
    image = "ubuntu/squid:latest"
  }

  expect_failures = [var.image]
}

run "no_such_task_on_fargate" {
  command = plan

  variables {
    cpu    = 256
    memory = 4096
  }

  expect_failures = [var.memory]
}

run "fewer_at_most_than_at_least" {
  command = plan

  variables {
    task_count  = 4
    autoscaling = { max_count = 3 }
  }

  expect_failures = [var.autoscaling]
}

run "busier_than_possible" {
  command = plan

  variables {
    autoscaling   = { max_count = 3, cpu_percent = 100 }
    office_hours  = { open = "cron(0 7 ? * MON-FRI *)", close = "cron(0 19 ? * MON-FRI *)", timezone = "here" }
    vpc_endpoints = { route_table_ids = ["main"] }
  }

  expect_failures = [var.autoscaling, var.office_hours, var.vpc_endpoints]
}

run "anybody_on_github" {
  command = plan

  variables {
    github_subjects = ["*"]
  }

  expect_failures = [var.github_subjects]
}

run "any_owner_on_github" {
  command = plan

  variables {
    github_subjects = ["repo:*/shop:ref:refs/heads/main"]
  }

  expect_failures = [var.github_subjects]
}

run "existing_service_with_what_belongs_to_a_new_one" {
  command = plan

  variables {
    create_service = false
    vpc_endpoints  = {}
    autoscaling    = { max_count = 4 }
    office_hours   = { open = "cron(0 7 ? * MON-FRI *)", close = "cron(0 19 ? * MON-FRI *)" }
  }

  expect_failures = [var.create_cluster, var.vpc_endpoints, var.autoscaling, var.office_hours]
}

run "a_service_needs_a_network" {
  command = plan

  variables {
    vpc_id     = null
    subnet_ids = []
  }

  expect_failures = [var.vpc_id, var.subnet_ids]
}
