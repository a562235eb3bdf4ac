terraform {
  # 1.9 is the first release, of Terraform and of OpenTofu, whose validations may look at other variables.
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # From 5.90 on the OIDC provider needs no thumbprint; nothing here is new in, or gone from, 6.
      version = ">= 5.90.0, < 7.0.0"
    }
  }
}
