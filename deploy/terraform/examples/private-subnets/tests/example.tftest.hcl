mock_provider "aws" {
  source = "../../tests/account"
}

variables {
  vpc_id             = "vpc-0abc"
  private_subnet_ids = ["subnet-0a", "subnet-0b"]
  route_table_ids    = ["rtb-0a"]
  allowed_domains    = ["orders.internal"]
  image              = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ecr-public/ubuntu/squid:5.2-22.04_beta"
}

run "it_can_be_made" {
  assert {
    condition     = output.target == "automation/squid"
    error_message = output.target
  }
}
