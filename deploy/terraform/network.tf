resource "aws_security_group" "task" {
  count = var.create_service ? 1 : 0

  name        = "${var.name}-${var.service_name}"
  description = "The proxy of culvert: nothing comes in, the agent of Session Manager dials out" # EC2 takes no apostrophe
  vpc_id      = var.vpc_id
  tags        = local.tags
}

locals {
  # Who may ask for any host and port is held by the ranges alone, unless the ports are named.
  every_port = var.remote_hosts && length(var.remote_host_ports) == 0
  ports      = local.every_port ? ["1-65535"] : [for port in concat(var.allowed_ports, var.remote_host_ports) : tostring(port)]
  egress     = toset(concat(["443 0.0.0.0/0"], [for pair in setproduct(local.ports, var.destination_cidrs) : join(" ", pair)]))
}

# The VPC's own resolver needs no rule, as security groups do not filter it; resolvers of one's own do, by UDP and, for long answers, TCP.
resource "aws_vpc_security_group_egress_rule" "dns" {
  for_each = var.create_service ? { for pair in setproduct(["udp", "tcp"], var.dns_servers) : join(" ", pair) => pair } : {}

  security_group_id = aws_security_group.task[0].id
  ip_protocol       = each.value[0]
  from_port         = 53
  to_port           = 53
  cidr_ipv4         = strcontains(each.value[1], "/") ? each.value[1] : "${each.value[1]}/32"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "task" {
  for_each = var.create_service ? local.egress : []

  security_group_id = aws_security_group.task[0].id
  ip_protocol       = "tcp"
  from_port         = tonumber(regex("^[0-9]+", each.key))
  to_port           = tonumber(regex("([0-9]+) ", each.key)[0])
  cidr_ipv4         = split(" ", each.key)[1]
  tags              = local.tags
}

resource "aws_security_group" "endpoints" {
  count = var.vpc_endpoints == null ? 0 : 1

  name        = "${var.name}-endpoints"
  description = "VPC endpoints of the proxy of culvert"
  vpc_id      = var.vpc_id
  tags        = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = var.vpc_endpoints == null ? 0 : 1

  security_group_id            = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.task[0].id
  tags                         = local.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.vpc_endpoints == null ? toset([]) : var.vpc_endpoints.services

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = local.tags
}

resource "aws_vpc_endpoint" "s3" {
  count = var.vpc_endpoints == null ? 0 : length(var.vpc_endpoints.route_table_ids) > 0 ? 1 : 0

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.vpc_endpoints.route_table_ids
  tags              = local.tags
}
