package aws_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
)

func TestCallerPolicyGrantsNothingThatItNeedNot(t *testing.T) {
	got, err := json.MarshalIndent(aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation"}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Find",
      "Effect": "Allow",
      "Action": [
        "ecs:ListTasks",
        "ecs:DescribeTasks",
        "ecs:ListServices",
        "ecs:DescribeServices"
      ],
      "Resource": [
        "*"
      ],
      "Condition": {
        "ArnEquals": {
          "ecs:cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/automation"
        }
      }
    },
    {
      "Sid": "Tunnel",
      "Effect": "Allow",
      "Action": [
        "ssm:StartSession"
      ],
      "Resource": [
        "arn:aws:ecs:eu-west-1:111122223333:task/automation/*",
        "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession"
      ],
      "Condition": {
        "BoolIfExists": {
          "ssm:SessionDocumentAccessCheck": "true"
        }
      }
    },
    {
      "Sid": "Channel",
      "Effect": "Allow",
      "Action": [
        "ssmmessages:OpenDataChannel"
      ],
      "Resource": [
        "arn:aws:ssm:eu-west-1:111122223333:session/${aws:userid}-*",
        "arn:aws:ssm:eu-west-1:111122223333:session/${aws:username, 'nobody'}-*",
        "arn:aws:ssm:eu-west-1:111122223333:session/culvert-*"
      ]
    },
    {
      "Sid": "EndOwn",
      "Effect": "Allow",
      "Action": [
        "ssm:TerminateSession",
        "ssm:ResumeSession"
      ],
      "Resource": [
        "arn:aws:ssm:eu-west-1:111122223333:session/*"
      ],
      "Condition": {
        "StringLike": {
          "ssm:resourceTag/aws:ssmmessages:session-id": [
            "${aws:userid}"
          ]
        }
      }
    }
  ]
}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestARolesPolicyEndsItsEarlierSessionsAndNoMore(t *testing.T) {
	reach := aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation", Browse: true}
	plain := aws.CallerPolicy(reach)
	reach.RoleID = "AROAEXAMPLEEXAMPLE000"
	ofRole := aws.CallerPolicy(reach)
	last := len(ofRole.Statement) - 1
	const want = `{"Sid":"EndEarlier","Effect":"Allow","Action":["ssm:TerminateSession"],"Resource":["arn:aws:ssm:eu-west-1:111122223333:session/*"],` +
		`"Condition":{"StringLike":{"ssm:resourceTag/aws:ssmmessages:session-id":["AROAEXAMPLEEXAMPLE000:culvert-*"]}}}`
	if got := ofRole.Statement[last].String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprint(ofRole.Statement[:last]), fmt.Sprint(plain.Statement); got != want {
		t.Errorf("beside it: got %s\nwant %s", got, want)
	}
}

func TestReachIsThatOfTheClient(t *testing.T) {
	w := connect(t, account(t))
	if got, want := w.Reach("automation"), (aws.Reach{Partition: "aws", Region: "eu-west-1", Account: "*", Cluster: "automation"}); got != want {
		t.Errorf("before anything is known of the account: got %+v, want %+v", got, want)
	}
	if _, err := w.Identity(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Reach("automation").Account; got != "111122223333" {
		t.Errorf("got account %s, want the one that STS names", got)
	}
}

// A tunnel to any host needs the document for other hosts, and that one alone, in every partition.
func TestThePolicyForAnyHostHasOneDocument(t *testing.T) {
	for partition, region := range map[string]string{"": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-iso": "us-iso-east-1", "aws-iso-b": "us-isob-east-1", "aws-iso-e": "eu-isoe-west-1", "aws-iso-f": "us-isof-south-1", "aws-eusc": "eusc-de-east-1"} {
		reach := aws.Reach{Partition: partition, Region: region, Account: "111122223333", Cluster: "c", AnyHost: true}
		arn := "arn:" + cmp.Or(partition, "aws")
		for _, s := range aws.CallerPolicy(reach).Statement {
			for _, resource := range s.Resource {
				if resource != "*" && !strings.HasPrefix(resource, arn+":") {
					t.Errorf("%s: %s is of another partition", region, resource)
				}
			}
			if s.Sid != "Tunnel" {
				continue
			}
			want := []string{arn + ":ecs:" + region + ":111122223333:task/c/*", arn + ":ssm:" + region + "::document/AWS-StartPortForwardingSessionToRemoteHost"}
			if !slices.Equal(s.Resource, want) {
				t.Errorf("%s: got %q, want %q", region, s.Resource, want)
			}
		}
		// Everything but the document is as for ports.
		ports := reach
		ports.AnyHost = false
		a, b := aws.CallerPolicy(reach), aws.CallerPolicy(ports)
		a.Statement[1].Resource, b.Statement[1].Resource = nil, nil
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: got %v, want the policy for ports %v", region, a, b)
		}
	}
	reach := aws.Reach{Region: "eu-west-1", Account: "1", Cluster: "c", AnyHost: true, RemoteHosts: true}
	if got := aws.CallerPolicy(reach).Statement[1].Resource; len(got) != 3 {
		t.Errorf("with both: %q, want both documents", got)
	}
	reach.Document = "team-ports"
	if got := aws.CallerPolicy(reach).Statement[1].Resource; len(got) != 2 || got[1] != "arn:aws:ssm:eu-west-1:1:document/team-ports" {
		t.Errorf("with a document of one's own: %q", got)
	}
}
