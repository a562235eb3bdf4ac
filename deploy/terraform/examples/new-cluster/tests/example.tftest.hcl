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
  vpc_id             = "vpc-0abc"
  private_subnet_ids = ["subnet-0a", "subnet-0b"]
  allowed_domains    = ["orders.internal"]
  repository         = "octo@1234/shop@5678"
}

run "the_workflow_step_is_ready" {
  assert {
    condition     = yamldecode(output.workflow_step)["through-the-proxy"].steps[0].with.target == "automation/squid"
    error_message = output.workflow_step
  }
}
