resource "aws_security_group" "task" {
  name        = "${var.name}-${var.service_name}"
  description = "The proxy of culvert: nothing comes in, the agent of Session Manager dials out" # EC2 takes no apostrophe
  vpc_id      = var.vpc_id
  tags        = local.tags
}

locals {
  egress = merge(
    { "443 0.0.0.0/0" = { port = 443, cidr = "0.0.0.0/0" } },
    { for pair in setproduct(toset(concat(var.allowed_ports, var.remote_host_ports)), toset(var.destination_cidrs)) :
      "${pair[0]} ${pair[1]}" => { port = pair[0], cidr = pair[1] }
    },
  )
}

# The VPC's own resolver needs no rule: security groups do not filter it.
resource "aws_vpc_security_group_egress_rule" "task" {
  for_each = local.egress

  security_group_id = aws_security_group.task.id
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
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
  referenced_security_group_id = aws_security_group.task.id
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
