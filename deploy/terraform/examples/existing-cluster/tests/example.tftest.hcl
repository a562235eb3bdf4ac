mock_provider "aws" {
  source = "../../tests/account"
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
