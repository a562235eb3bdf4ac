package emulator

import "testing"

// The shapes of IAM and EC2 are judged by the aws command line, which parses them by AWS's own models.
func TestCommandLineReadsHints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	e, err := Start(Options{Fleet: Fleet{Subnet: Subnet{Default: "igw-1", PublicIP: true, Endpoint: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	aws := awsCLI(t, e)
	if err := e.Attach("role/agent", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssmmessages:Open*","Resource":"*"}]}`)); err != nil {
		t.Fatal(err)
	}
	var decisions []string
	aws.must(t, &decisions, "iam", "simulate-principal-policy", "--policy-source-arn", "arn:aws:iam::111122223333:role/agent",
		"--action-names", "ssmmessages:OpenDataChannel", "ssmmessages:CreateDataChannel", "--query", "EvaluationResults[].EvalDecision")
	if len(decisions) != 2 || decisions[0] != "allowed" || decisions[1] != "implicitDeny" {
		t.Errorf("simulation: got %q", decisions)
	}
	var route string
	aws.must(t, &route, "ec2", "describe-route-tables", "--query", "RouteTables[0].Routes[1].GatewayId")
	if route != "igw-1" {
		t.Errorf("default route: got %q", route)
	}
	e.Fault(func(f *Faults) {
		f.API = []APIFault{{Action: "ec2:*"}}
	})
	aws.refused(t, "UnauthorizedOperation", "ec2", "describe-subnets")
}
