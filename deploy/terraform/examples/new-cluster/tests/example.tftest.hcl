mock_provider "aws" {
  source = "../../tests/account"
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
