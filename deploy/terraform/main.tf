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

# ECS's own role. ECS makes it with an account's first cluster, which fails once when it is not there in time.
resource "aws_iam_service_linked_role" "ecs" {
  count = var.create_service_linked_role ? 1 : 0

  aws_service_name = "ecs.amazonaws.com"
}

resource "aws_ecs_cluster" "this" {
  count = var.create_cluster ? 1 : 0

  name = var.cluster_name
  tags = local.tags

  depends_on = [aws_iam_service_linked_role.ecs]
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  count = var.create_cluster ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}
