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
  route_table_ids    = ["rtb-0a"]
  allowed_domains    = ["orders.internal"]
  image              = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ecr-public/ubuntu/squid:6.6-24.04_beta"
}

run "it_can_be_made" {
  assert {
    condition     = output.target == "automation/squid"
    error_message = output.target
  }
}
