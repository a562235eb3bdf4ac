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
  vpc_id                   = "vpc-0abc"
  private_subnet_ids       = ["subnet-0a"]
  github_oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  github_repository_ids    = ["123456"]
}

run "the_service_goes_into_the_cluster" {
  assert {
    condition     = output.target == "tools/proxy"
    error_message = output.target
  }
}
