data "aws_partition" "this" {}
data "aws_region" "this" {}
data "aws_caller_identity" "this" {}

locals {
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.id # name in provider 5, region in 6; id in both
  account   = data.aws_caller_identity.this.account_id

  cluster_arn = "arn:${local.partition}:ecs:${local.region}:${local.account}:cluster/${var.cluster_name}"
  task_arns   = "arn:${local.partition}:ecs:${local.region}:${local.account}:task/${var.cluster_name}/*"
  target      = "${var.cluster_name}/${var.create_service ? aws_ecs_service.this[0].name : var.service_name}"
  tags        = merge({ "culvert" = var.name }, var.tags)
}

resource "aws_ecs_cluster" "this" {
  count = var.create_cluster ? 1 : 0

  name = var.cluster_name
  tags = local.tags
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  count = var.create_cluster ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}
