# What callers may start for the time of a tunnel. The same as `culvert doctor policy --run --share` and `--start` print, a test
# holds them together; what is about the tasks of the role's other sessions is at the role, in caller.tf.

locals {
  run_family = coalesce(var.run_family, "${var.name}-${var.service_name}")
  run_roles  = var.run_family == null && var.create_service ? [aws_iam_role.task[0].arn, aws_iam_role.execution[0].arn] : var.run_role_arns

  # Whose a task is tells its tag, which it is started with and which nobody changes later.
  stop_tasks = {
    Sid      = "StopOwn"
    Effect   = "Allow"
    Action   = ["ecs:StopTask"]
    Resource = [local.task_arns]
  }
  note_use = {
    Sid      = "NoteUse"
    Effect   = "Allow"
    Action   = ["ecs:TagResource", "ecs:UntagResource"]
    Resource = [local.task_arns]
  }
  use_tags    = { "aws:TagKeys" = ["culvert:user:*", "culvert:closing"] }
  owned_by_me = { "aws:ResourceTag/culvert:owner" = ["$${aws:userid}"] }

  ondemand_statements = concat(
    [for statement in [
      {
        Sid      = "Run"
        Effect   = "Allow"
        Action   = ["ecs:RunTask"]
        Resource = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${local.run_family}:*"]
        Condition = {
          ArnEquals    = { "ecs:cluster" = local.cluster_arn }
          StringEquals = { "aws:RequestTag/culvert:owner" = "$${aws:userid}" }
        }
      },
      {
        Sid       = "SignRun"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = [local.task_arns]
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "PassRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = sort(compact(local.run_roles))
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      merge(local.stop_tasks, { Condition = { StringLike = local.owned_by_me } }),
    ] : statement if var.allow_run],
    var.allow_share ? [
      merge(local.note_use, { Condition = { StringLike = local.owned_by_me, "ForAllValues:StringLike" = local.use_tags } }),
    ] : [],
    var.allow_run && !var.allow_browsing ? [{
      Sid      = "Define"
      Effect   = "Allow"
      Action   = ["ecs:DescribeTaskDefinition"]
      Resource = ["*"] # it knows no other
    }] : [],
    [for statement in [
      {
        Sid      = "Scale"
        Effect   = "Allow"
        Action   = ["ecs:UpdateService"]
        Resource = [local.service_arn]
      },
      {
        Sid       = "NoteService"
        Effect    = "Allow"
        Action    = ["ecs:TagResource", "ecs:UntagResource"]
        Resource  = [local.service_arn]
        Condition = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["culvert:raised", "culvert:user:*"] } }
      },
    ] : statement if var.allow_start],
  )
  service_arn = "arn:${local.partition}:ecs:${local.region}:${local.account}:service/${local.target}"

  # Of the role alone: a killed job's task is stopped, and a task is shared, by its other sessions.
  owned_by_role = local.github ? { "aws:ResourceTag/culvert:owner" = ["${aws_iam_role.caller[0].unique_id}:culvert-*"] } : {}
  ondemand_of_role = concat(
    var.allow_run ? [merge(local.stop_tasks, { Condition = { StringLike = local.owned_by_role } })] : [],
    var.allow_share ? [merge(local.note_use, { Condition = { StringLike = local.owned_by_role, "ForAllValues:StringLike" = local.use_tags } })] : [],
  )
}
