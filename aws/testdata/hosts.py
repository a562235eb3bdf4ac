"""Makes three VPCs with every kind of private destination in moto, and prints what boto3 says of their addresses.

usage: hosts.py ENDPOINT
"""
import json
import sys

import boto3


def client(service):
    return boto3.client(service, endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret")


ec2, rds, cache, memory = client("ec2"), client("rds"), client("elasticache"), client("memorydb")
search, mq, redshift, balancing = client("opensearch"), client("mq"), client("redshift"), client("elbv2")
names, eks, ecs = client("servicediscovery"), client("eks"), client("ecs")

for i in range(3):
    vpc = ec2.create_vpc(CidrBlock=f"10.{i}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{i}.{j}.0/24", AvailabilityZone="eu-west-1" + "ab"[j])["Subnet"]["SubnetId"]
        for j in range(2)
    ]
    group = ec2.create_security_group(GroupName=f"hosts{i}", Description="of hosts", VpcId=vpc)["GroupId"]
    login = {"MasterUsername": "u", "MasterUserPassword": "Passw0rdPassw0rd"}

    rds.create_db_subnet_group(DBSubnetGroupName=f"db{i}", DBSubnetGroupDescription="d", SubnetIds=subnets)
    at = {"DBSubnetGroupName": f"db{i}", "VpcSecurityGroupIds": [group]}
    for engine in ("postgres", "mysql", "sqlserver-ex"):
        rds.create_db_instance(DBInstanceIdentifier=f"{engine}{i}", DBInstanceClass="db.t3.micro", Engine=engine, AllocatedStorage=20, **login, **at)
    rds.create_db_cluster(DBClusterIdentifier=f"aurora{i}", Engine="aurora-postgresql", **login, **at)
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
    rds.create_db_proxy(
        DBProxyName=f"proxy{i}", EngineFamily="MYSQL", Auth=[{"AuthScheme": "SECRETS", "SecretArn": secret, "IAMAuth": "REQUIRED"}],
        RoleArn="arn:aws:iam::123456789012:role/x", VpcSubnetIds=subnets, VpcSecurityGroupIds=[group],
    )
    cache.create_cache_subnet_group(CacheSubnetGroupName=f"cache{i}", CacheSubnetGroupDescription="d", SubnetIds=subnets)
    cache.create_replication_group(
        ReplicationGroupId=f"redis{i}", ReplicationGroupDescription="d", Engine="redis", NumNodeGroups=1, ReplicasPerNodeGroup=1,
        CacheNodeType="cache.t3.micro", CacheSubnetGroupName=f"cache{i}", SecurityGroupIds=[group],
    )
    memory.create_subnet_group(SubnetGroupName=f"memory{i}", SubnetIds=subnets)
    memory.create_cluster(ClusterName=f"memory{i}", NodeType="db.t4g.small", ACLName="open-access", SubnetGroupName=f"memory{i}", SecurityGroupIds=[group])
    for j in range(3):  # six and more are described in two calls
        search.create_domain(DomainName=f"search{i}{j}", VPCOptions={"SubnetIds": subnets, "SecurityGroupIds": [group]})
    search.create_domain(DomainName=f"public{i}")
    mq.create_broker(
        BrokerName=f"broker{i}", DeploymentMode="SINGLE_INSTANCE", EngineType="RabbitMQ", EngineVersion="3.10", HostInstanceType="mq.t3.micro",
        PubliclyAccessible=False, Users=[{"Username": "admin", "Password": "adminadminadmin"}], SubnetIds=subnets[:1], SecurityGroups=[group],
        AutoMinorVersionUpgrade=False,
    )
    redshift.create_cluster_subnet_group(ClusterSubnetGroupName=f"warehouse{i}", Description="d", SubnetIds=subnets)
    redshift.create_cluster(ClusterIdentifier=f"warehouse{i}", NodeType="dc2.large", ClusterSubnetGroupName=f"warehouse{i}", VpcSecurityGroupIds=[group], **login)
    target = balancing.create_target_group(Name=f"t{i}", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
    for scheme in ("internal", "internet-facing"):
        made = balancing.create_load_balancer(Name=f"{scheme}{i}", Subnets=subnets, SecurityGroups=[group], Scheme=scheme)["LoadBalancers"][0]
        for port in (80, 8080 + i):
            balancing.create_listener(
                LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": target}]
            )
    names.create_private_dns_namespace(Name=f"n{i}.local", Vpc=vpc)
    namespace = [n["Id"] for n in names.list_namespaces()["Namespaces"] if n["Name"] == f"n{i}.local"][0]
    service = names.create_service(Name="api", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]})["Service"]["Id"]
    names.register_instance(ServiceId=service, InstanceId="a", Attributes={"AWS_INSTANCE_IPV4": f"10.{i}.0.9", "AWS_INSTANCE_PORT": "8080"})

said = []


def say(source, name, host, port, groups=()):
    if host:
        said.append({"source": source, "name": name, "host": host, "port": port, "groups": sorted(groups)})


def groups_of(thing):
    return [g["VpcSecurityGroupId"] for g in thing["VpcSecurityGroups"]]


for d in rds.describe_db_instances()["DBInstances"]:
    say("rds", d["DBInstanceIdentifier"], d["Endpoint"]["Address"], d["Endpoint"]["Port"], groups_of(d))
for k in rds.describe_db_clusters()["DBClusters"]:
    for endpoint in (k["Endpoint"], k.get("ReaderEndpoint")):
        say("rds", k["DBClusterIdentifier"], endpoint, k["Port"], groups_of(k))
for p in rds.describe_db_proxies()["DBProxies"]:
    say("rds", p["DBProxyName"], p["Endpoint"], 3306, p["VpcSecurityGroupIds"])
for g in cache.describe_replication_groups()["ReplicationGroups"]:
    for n in g["NodeGroups"]:
        for which in ("PrimaryEndpoint", "ReaderEndpoint"):
            if which in n:
                say("elasticache", g["ReplicationGroupId"], n[which]["Address"], n[which]["Port"])
for k in memory.describe_clusters()["Clusters"]:
    say("memorydb", k["Name"], k["ClusterEndpoint"]["Address"], k["ClusterEndpoint"]["Port"], [g["SecurityGroupId"] for g in k["SecurityGroups"]])
for name in [d["DomainName"] for d in search.list_domain_names()["DomainNames"]]:
    d = search.describe_domain(DomainName=name)["DomainStatus"]
    if d.get("VPCOptions", {}).get("SubnetIds"):
        say("opensearch", name, d.get("Endpoint") or d["Endpoints"]["vpc"], 443, d["VPCOptions"]["SecurityGroupIds"])
for k in redshift.describe_clusters()["Clusters"]:
    say("redshift", k["ClusterIdentifier"], k["Endpoint"]["Address"], k["Endpoint"]["Port"], [g["VpcSecurityGroupId"] for g in k["VpcSecurityGroups"]])
for b in balancing.describe_load_balancers()["LoadBalancers"]:
    if b["Scheme"] == "internal":
        for l in balancing.describe_listeners(LoadBalancerArn=b["LoadBalancerArn"])["Listeners"]:
            say("elasticloadbalancing", b["LoadBalancerName"], b["DNSName"], l["Port"], b["SecurityGroups"])
for n in names.list_namespaces()["Namespaces"]:
    for s in names.list_services(Filters=[{"Name": "NAMESPACE_ID", "Values": [n["Id"]], "Condition": "EQ"}])["Services"]:
        for i in names.list_instances(ServiceId=s["Id"])["Instances"]:
            host = s["Name"] + "." + n["Name"]
            say("servicediscovery", host, host, int(i["Attributes"]["AWS_INSTANCE_PORT"]))
for name in [b["BrokerId"] for b in mq.list_brokers()["BrokerSummaries"]]:
    b = mq.describe_broker(BrokerId=name)
    for i in b["BrokerInstances"]:
        for endpoint in i["Endpoints"] + [i["ConsoleURL"]]:
            scheme, rest = endpoint.split("://")
            host, _, port = rest.split("/")[0].partition(":")
            say("mq", b["BrokerName"], host, int(port or {"amqps": 5671, "https": 443}[scheme]), b["SecurityGroups"])
print(json.dumps(said))
