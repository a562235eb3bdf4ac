# --- Names --------------------------------------------------------------------------------------------------------

variable "name" {
  description = "Begins the name of everything that has to have one: roles, policy, log group, security groups."
  type        = string
  default     = "culvert"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "name: up to 32 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cluster_name" {
  description = "ECS cluster that the proxy runs in. Callers name it: culvert --target CLUSTER/SERVICE."
  type        = string
  default     = "automation"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster_name))
    error_message = "cluster_name: the name, not the ARN: letters, digits, hyphens and underscores."
  }
}

variable "create_cluster" {
  description = "Make the cluster. false: it is there already, and has the capacity providers FARGATE and, for spot, FARGATE_SPOT."
  type        = bool
  default     = true

  validation {
    condition     = var.create_service || !var.create_cluster
    error_message = "create_cluster: a service that is there (create_service = false) has its cluster: set this to false too."
  }
}

variable "create_service_linked_role" {
  description = "Make ECS's service-linked role AWSServiceRoleForECS, for an account that has had no cluster yet. An account has it once: where it is there, this fails."
  type        = bool
  default     = false
}

variable "create_service" {
  description = "Make the service, with its proxy, its roles and its security group. false: service_name is there already, with ECS Exec on, and only who may open tunnels to it is made; with remote_hosts any such service will do, and nothing runs for it."
  type        = bool
  default     = true
}

variable "service_name" {
  description = "Name of the ECS service."
  type        = string
  default     = "squid"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.service_name))
    error_message = "service_name: letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of everything that takes them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:") && length(key) <= 128])
    error_message = "tags: keys have at most 128 characters and do not begin with aws:."
  }
}

# --- Network ------------------------------------------------------------------------------------------------------

variable "vpc_id" {
  description = "VPC whose private hosts are to be reached. Needed for a service of this module, as are subnet_ids."
  type        = string
  default     = null

  validation {
    condition     = !var.create_service || can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id: an id such as vpc-0abc."
  }
}

variable "subnet_ids" {
  description = "Subnets of the tasks, best in several zones. They need a way to ssmmessages: a NAT gateway, vpc_endpoints, or assign_public_ip in a public subnet."
  type        = list(string)
  default     = []

  validation {
    condition     = (!var.create_service || length(var.subnet_ids) > 0) && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids: at least one id such as subnet-0abc."
  }
  validation {
    condition     = length(distinct(var.subnet_ids)) == length(var.subnet_ids)
    error_message = "subnet_ids: one is named twice."
  }
}

variable "assign_public_ip" {
  description = "Give each task a public address, for public subnets without NAT. Nothing can come in by it: the security group has no ingress rule."
  type        = bool
  default     = false
}

variable "destination_cidrs" {
  description = "IPv4 ranges that the security group lets the proxy open connections to, on allowed_ports and remote_host_ports; with remote_hosts alone on every port. Port 443 is open to all: Session Manager and the image registry are there."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.destination_cidrs) > 0 && alltrue([for range in var.destination_cidrs : can(cidrnetmask(range))])
    error_message = "destination_cidrs: at least one IPv4 range such as 10.0.0.0/8."
  }
}

variable "dns_servers" {
  description = "Addresses or IPv4 ranges of the resolvers that the VPC's DHCP options name, where those are not AmazonProvidedDNS: the security group lets the tasks ask them. The VPC's own resolver needs nothing."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for server in var.dns_servers : can(cidrnetmask(strcontains(server, "/") ? server : "${server}/32"))])
    error_message = "dns_servers: IPv4 addresses such as 10.0.0.2, or ranges."
  }
}

variable "security_group_ids" {
  description = "Further security groups of the tasks, such as one that destinations let in already. At most four: an interface has five."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.security_group_ids) <= 4 && alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "security_group_ids: at most four ids such as sg-0abc."
  }
}

variable "vpc_endpoints" {
  description = "Interface endpoints to make in subnet_ids, for a VPC without NAT: services is what is missing there, route_table_ids those that get the gateway endpoint of S3 (ECR keeps layers in S3). The image must then come from a private ECR repository. null: none."
  type = object({
    services        = optional(set(string), ["ssmmessages", "ecr.api", "ecr.dkr", "logs"])
    route_table_ids = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.vpc_endpoints == null || var.create_service
    error_message = "vpc_endpoints: a service that is there (create_service = false) has its network already: leave this out."
  }
  validation {
    condition = var.vpc_endpoints == null ? true : alltrue([
      for service in var.vpc_endpoints.services : contains(["ssmmessages", "ecr.api", "ecr.dkr", "logs"], service)
    ])
    error_message = "vpc_endpoints.services: ssmmessages, ecr.api, ecr.dkr or logs; the task needs no other."
  }
  validation {
    condition     = var.vpc_endpoints == null ? true : alltrue([for id in var.vpc_endpoints.route_table_ids : can(regex("^rtb-[0-9a-f]+$", id))])
    error_message = "vpc_endpoints.route_table_ids: ids such as rtb-0abc."
  }
}

# --- What the proxy lets through ----------------------------------------------------------------------------------

variable "allowed_domains" {
  description = "Hosts that the proxy reaches; none unless they are named here, or in allowed_cidrs. orders.corp.example is that host; .corp.example is the domain and all below it. Everything else is refused before it is even resolved."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for host in var.allowed_domains : can(regex("^\\.?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$", host)) && length(host) <= 254
    ])
    error_message = "allowed_domains: lower-case host names, with a leading dot for all below them; no scheme, port, path or *."
  }
  validation {
    condition     = alltrue([for host in var.allowed_domains : !can(regex("^\\.?[0-9.]+$", host))])
    error_message = "allowed_domains: an address is no name; put it into allowed_cidrs, as 10.1.2.3/32."
  }
  validation {
    # Squid warns of such a pair, and calls a plain duplicate an error.
    condition = alltrue([
      for i, host in var.allowed_domains : alltrue([
        for j, other in var.allowed_domains : i == j || (host != other && !(startswith(other, ".") && endswith(".${trimprefix(host, ".")}", other)))
      ])
    ])
    error_message = "allowed_domains: a name is there twice, or below a domain that is there with a leading dot."
  }
}

variable "allowed_cidrs" {
  description = "IPv4 ranges that may be asked for by address (http://10.1.2.3/). A name that resolves into them is not thereby allowed."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.allowed_cidrs : can(cidrnetmask(range))])
    error_message = "allowed_cidrs: IPv4 ranges such as 10.1.0.0/16."
  }
}

variable "allowed_ports" {
  description = "Ports of the destinations, for plain requests and for CONNECT alike: Node's fetch and Playwright's requests CONNECT to port 80 too."
  type        = list(number)
  default     = [80, 443]

  validation {
    condition     = length(var.allowed_ports) > 0 && alltrue([for port in var.allowed_ports : port == floor(port) && port >= 1 && port <= 65535])
    error_message = "allowed_ports: at least one number from 1 to 65535."
  }
  validation {
    condition     = length(distinct(var.allowed_ports)) == length(var.allowed_ports)
    error_message = "allowed_ports: one is named twice."
  }
}

variable "remote_hosts" {
  description = "Let callers reach any host and port behind the tasks (culvert -D 1080, or -L 15432:db.internal:5432): grants them the document AWS-StartPortForwardingSessionToRemoteHost. They then reach what the security groups let the tasks reach, whatever allowed_domains says. The tasks need nothing for it but ECS Exec; with remote_host_ports their security group opens those ports alone."
  type        = bool
  default     = false
}

variable "remote_host_ports" {
  description = "As remote_hosts, on these ports: those of other hosts that callers may forward to without the proxy, such as 5432 (culvert -L 15432:db.internal:5432). Not empty, it grants callers the document AWS-StartPortForwardingSessionToRemoteHost: they then reach any host that the security groups let the task reach, whatever allowed_domains says."
  type        = list(number)
  default     = []

  validation {
    condition     = alltrue([for port in var.remote_host_ports : port == floor(port) && port >= 1 && port <= 65535])
    error_message = "remote_host_ports: numbers from 1 to 65535."
  }
}

# --- The tasks ----------------------------------------------------------------------------------------------------

variable "image" {
  description = "Squid image, pinned by tag or better by digest. It needs a shell, base64 and the user proxy, as Ubuntu's has. Without NAT it must come from a private ECR repository of this account and region, filled by a pull-through cache or by hand."
  type        = string
  # Squid 6.13, for both architectures. From 6.3 on Squid names DNS failures as such.
  default = "ubuntu/squid:6.6-24.04_beta@sha256:6a097f68bae708cedbabd6188d68c7e2e7a38cedd05a176e1cc0ba29e3bbe029"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", var.image)) && !can(regex(":(latest|edge)$", var.image))
    error_message = "image: pin it: repository:tag, not latest or edge, or repository@sha256:digest."
  }
}

variable "image_credentials_arn" {
  description = "Secret of Secrets Manager with username and password of the image's registry, where that is a private one and not ECR. With vpc_endpoints it needs the endpoint of secretsmanager as well."
  type        = string
  default     = null

  validation {
    condition     = var.image_credentials_arn == null ? true : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", var.image_credentials_arn))
    error_message = "image_credentials_arn: the ARN of a secret."
  }
}

variable "relay_image" {
  description = "culvert's own image, by digest: a second container that bonds sessions, so that one connection gets the rate of several (docs/capacity.md). It takes a task of at least 1024 CPU units and 1024 MiB, and callers may then read task definitions, by which culvert finds it. Without NAT it must come from a private ECR repository, as image. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.relay_image == null ? true : can(regex("^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$", var.relay_image))
    error_message = "relay_image: by digest, repository@sha256:DIGEST: a tag may become another program, and this one is in the way of every byte."
  }
  validation {
    condition     = var.relay_image == null || var.create_service
    error_message = "relay_image: a service that is there (create_service = false) has its containers already: leave this out, and add the container to its task definition."
  }
  validation {
    condition     = var.relay_image == null ? true : var.cpu >= 1024 && var.memory >= 1024
    error_message = "relay_image: set cpu to 1024 or more, and memory to 1024 or more, here ${var.cpu} and ${var.memory}: each session that the relay bonds takes about an eighth of a vCPU at its full rate and 26 MiB, so a quarter of one carries two, and one connection gains nothing by them."
  }
  validation {
    condition     = var.relay_image == null || var.port != 7300
    error_message = "port: 7300 is the relay's, with relay_image: give the proxy another."
  }
}

variable "port" {
  description = "Port of the proxy, on the task's loopback address only."
  type        = number
  default     = 3128

  validation {
    condition     = var.port == floor(var.port) && var.port >= 1024 && var.port <= 65535
    error_message = "port: 1024 to 65535; Squid runs as an ordinary user."
  }
}

variable "cpu" {
  description = "CPU units of a task: 256 is a quarter of a vCPU. docs/capacity.md says what that carries."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "cpu: 256, 512, 1024, 2048 or 4096."
  }
}

variable "memory" {
  description = "MiB of a task. The exec agent needs some of it beside Squid."
  type        = number
  default     = 512

  validation {
    # AWS Fargate: "Task CPU and memory".
    condition = contains(lookup({
      256  = [512, 1024, 2048]
      512  = [1024, 2048, 3072, 4096]
      1024 = [for i in range(2, 9) : i * 1024]
      2048 = [for i in range(4, 17) : i * 1024]
      4096 = [for i in range(8, 31) : i * 1024]
    }, var.cpu, []), var.memory)
    error_message = "memory: Fargate has no task of ${var.cpu} CPU units with ${var.memory} MiB."
  }
}

variable "architecture" {
  description = "X86_64 or ARM64. Fargate Spot has both; the image must too."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture: X86_64 or ARM64."
  }
}

variable "task_count" {
  description = "How many tasks run, and the least that autoscaling keeps. Two, in two zones, outlive the loss of one."
  type        = number
  default     = 2

  validation {
    condition     = var.task_count == floor(var.task_count) && var.task_count >= 0 && var.task_count <= 1000
    error_message = "task_count: 0 to 1000."
  }
}

variable "spot" {
  description = "Run tasks on Fargate Spot, but for the first on_demand_count. A Spot task may go at two minutes' notice: culvert then moves to another, and open connections break."
  type        = bool
  default     = false
}

variable "on_demand_count" {
  description = "With spot: tasks that are not Spot, so that one is left when Spot has none to give."
  type        = number
  default     = 1

  validation {
    condition     = var.on_demand_count == floor(var.on_demand_count) && var.on_demand_count >= 0 && var.on_demand_count <= 1000
    error_message = "on_demand_count: 0 to 1000."
  }
}

variable "autoscaling" {
  description = "Adds tasks, up to max_count, to keep the averages of the service at cpu_percent and memory_percent: open sessions cost memory, traffic costs CPU. null: the number stays task_count."
  type = object({
    max_count      = number
    cpu_percent    = optional(number, 50)
    memory_percent = optional(number, 60)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || var.create_service
    error_message = "autoscaling: a service that is there (create_service = false) has its scaling already: leave this out."
  }
  validation {
    condition     = var.autoscaling == null ? true : var.autoscaling.max_count == floor(var.autoscaling.max_count) && var.autoscaling.max_count >= max(1, var.task_count)
    error_message = "autoscaling.max_count: a whole number, not below task_count."
  }
  validation {
    condition     = var.autoscaling == null ? true : alltrue([for percent in [var.autoscaling.cpu_percent, var.autoscaling.memory_percent] : percent >= 10 && percent <= 90])
    error_message = "autoscaling: cpu_percent and memory_percent are 10 to 90."
  }
}

variable "office_hours" {
  description = "Runs the service between open and close only, both cron(…) expressions of Application Auto Scaling, in timezone. Outside it is scaled to zero and costs nothing. null: always."
  type = object({
    open     = string
    close    = string
    timezone = optional(string, "Etc/UTC")
  })
  default = null

  validation {
    condition     = var.office_hours == null || var.create_service
    error_message = "office_hours: a service that is there (create_service = false) has its scaling already: leave this out."
  }
  validation {
    condition     = var.office_hours == null ? true : alltrue([for at in [var.office_hours.open, var.office_hours.close] : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", at))])
    error_message = "office_hours: open and close are cron expressions of six fields, such as cron(0 7 ? * MON-FRI *)."
  }
  validation {
    condition     = var.office_hours == null ? true : can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)+$", var.office_hours.timezone))
    error_message = "office_hours.timezone: a name such as Europe/Berlin."
  }
}

variable "log_kms_key_arn" {
  description = "KMS key that CloudWatch encrypts the log with; its policy must let logs.REGION.amazonaws.com use it. null: CloudWatch's own."
  type        = string
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn: the ARN of a key, not of an alias."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the proxy's access log."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days: one of CloudWatch's, such as 7, 30 or 365."
  }
}

# --- Who may open a tunnel ----------------------------------------------------------------------------------------

variable "github_subjects" {
  description = "GitHub OIDC subjects that may assume the caller role, verbatim: repo:octo/shop:ref:refs/heads/main, or for repositories created, renamed or transferred since 2026-07-15 repo:octo@1234/shop@5678:ref:refs/heads/main. * stands for any text."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for subject in var.github_subjects : can(regex("^repo:[A-Za-z0-9][A-Za-z0-9-]*(@[0-9]+)?/[^:]+:.+$", subject))])
    error_message = "github_subjects: repo:owner/repository:…, the owner without *: another owner's workflows would match."
  }
}

variable "github_repository_ids" {
  description = "Ids of GitHub repositories whose workflows may assume the caller role, on any branch: gh api repos/owner/repository --jq .id. An id stays when a repository is renamed, and is never given again."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.github_repository_ids : can(regex("^[0-9]+$", id))])
    error_message = "github_repository_ids: numbers, as strings."
  }
}

variable "github_oidc_provider_arn" {
  description = "The account's OIDC provider of token.actions.githubusercontent.com. An account can have one only; null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn: arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com."
  }
}

variable "role_session_seconds" {
  description = "How long a workflow may keep the caller role, 3600 to 43200; the workflow_step asks for as much. culvert fetches a new token when it ends."
  type        = number
  default     = 3600

  validation {
    condition     = var.role_session_seconds >= 3600 && var.role_session_seconds <= 43200
    error_message = "role_session_seconds: 3600 to 43200."
  }
}

variable "own_channels_only" {
  description = "Let callers open the data channels of their own sessions only: as the sample policy of AWS's quick start names them, of the user's name, and of the roles that culvert assumes. false: of every session, which takes that session's token as well; for callers whose keys another program brings, such as those of IAM Identity Center: it names their sessions (docs/security.md)."
  type        = bool
  default     = true
}

variable "session_kms_key_arn" {
  description = "KMS key of the account's Session Manager preferences, where they encrypt sessions: callers may then make a key of it, and the tasks read that. null: nothing about KMS."
  type        = string
  default     = null

  validation {
    condition     = var.session_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.session_kms_key_arn))
    error_message = "session_kms_key_arn: the ARN of a key, not of an alias."
  }
}

variable "allow_browsing" {
  description = "Let callers also list clusters and read cluster and task definitions, for people at culvert's screen. A workflow that names its target needs none of it."
  type        = bool
  default     = false
}

variable "allow_run" {
  description = "Let callers run tasks of the module's task definition for the time of a tunnel (culvert --run), and stop those: docs/ondemand.md. With task_count = 0 nothing runs in between."
  type        = bool
  default     = false
}

variable "allow_share" {
  description = "Let callers use such a task together (culvert --run --share)."
  type        = bool
  default     = false

  validation {
    condition     = !var.allow_share || var.allow_run
    error_message = "allow_share: there is nothing to share without allow_run."
  }
}

variable "allow_start" {
  description = "Let callers scale the service up from zero for the time of a tunnel, and down again (culvert --start). With task_count = 0, to which an apply meanwhile sets it back."
  type        = bool
  default     = false
}

variable "run_family" {
  description = "The family of task definitions that allow_run is about, where it is not the module's own."
  type        = string
  default     = null

  validation {
    condition     = var.run_family == null ? true : can(regex("^[A-Za-z0-9_-]{1,255}$", var.run_family))
    error_message = "run_family: a family, without a revision."
  }
  validation {
    condition     = !var.allow_run || var.create_service || var.run_family != null
    error_message = "run_family: allow_run without a service of this module is about another task definition: name its family."
  }
}

variable "run_role_arns" {
  description = "The task role and the execution role of run_family, which ECS passes on to its tasks."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.run_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "run_role_arns: ARNs of roles."
  }
  validation {
    condition     = (var.run_family == null) == (length(var.run_role_arns) == 0)
    error_message = "run_role_arns: name the roles of run_family with it, and none without."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary that the account wants on roles."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null ? true : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary: the ARN of a policy."
  }
}

variable "action" {
  description = "culvert's GitHub action, as the workflow_step output names it."
  type        = string
  default     = "OWNER/culvert@v1"

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+@\\S+$", var.action))
    error_message = "action: owner/repository@ref."
  }
}
