package aws_test

import (
	"encoding/json"
	"fmt"
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
        "arn:aws:ssm:eu-west-1:111122223333:session/*"
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
