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
  private_subnet_ids = ["subnet-0a", "subnet-0b", "subnet-0c"]
  allowed_domains    = ["orders.internal"]
  github_subjects    = ["repo:octo/shop:ref:refs/heads/main", "repo:octo@1234/shop@5678:environment:staging"]
}

run "it_can_be_made" {
  assert {
    condition     = output.target == "automation/squid"
    error_message = output.target
  }
}
