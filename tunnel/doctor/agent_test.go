package doctor_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel/doctor"
)

// onEC2 is an account whose tasks run on container instances.
func onEC2(change func(*emulator.Task)) emulator.Fleet {
	return with(func(task *emulator.Task) {
		task.Launch = "EC2"
		change(task)
	})
}

func TestC2ECSAgentIsTooOld(t *testing.T) {
	t.Parallel()
	f := onEC2(func(task *emulator.Task) {
		task.ECSAgent, task.Containers[0].Agent = "1.50.1", emulator.Agent{Absent: true}
	})
	report := newClinic(t, f).finds("agent", "C2", "ECS agent of its container instance is older", "aws ecs update-container-agent --cluster c --container-instance ", "it has 1.50.1")
	if r := resultOf(t, report, "instance"); !strings.Contains(strings.Join(r.Finding.Evidence, ""), "container-instance/c/") {
		t.Errorf("got evidence %q", r.Finding.Evidence)
	}
}

func TestECSAgentThatIsNewEnoughIsNotBlamed(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"1.50.2": "C3", "1.100.0": "C3", "1.9.9": "C2", "v0.9": "C3"} {
		c := newClinic(t, onEC2(func(task *emulator.Task) {
			task.ECSAgent, task.Containers[0].Agent = version, emulator.Agent{Absent: true}
		}))
		if got := c.examine().First().Cause; got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
	report := newClinic(t, onEC2(func(*emulator.Task) {})).examine()
	if r := resultOf(t, report, "instance"); report.First() != nil || r.Finding.Verdict != doctor.Pass {
		t.Errorf("healthy: got %s", summary(report))
	}
}

func TestInstanceThatMayNotBeLookedAtSaysTheAction(t *testing.T) {
	t.Parallel()
	c := newClinic(t, onEC2(func(task *emulator.Task) {
		task.ECSAgent, task.Containers[0].Agent = "1.40.0", emulator.Agent{Absent: true}
	})).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeContainerInstances"}}
	})
	r := resultOf(t, c.finds("agent", "C3", "ECS agent 1.50.2 or later"), "instance")
	if r.Finding.Why != "may not look: ecs:DescribeContainerInstances is not allowed" || !strings.Contains(r.Remedy(), "arn:aws:ecs:eu-west-1:111122223333:container-instance/c/") {
		t.Errorf("got %q → %q", r.Finding.Why, r.Remedy())
	}
}

func TestSecurityGroupsOnTheWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subnet      emulator.Subnet
		cause, want string // empty: they let through
	}{
		"nat":                       {emulator.Subnet{}, "", ""},
		"nothing out":               {emulator.Subnet{Outbound: "none"}, "C9", "aws ec2 authorize-security-group-egress --group-id sg-0e1f203142536475a --ip-permissions 'IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=0.0.0.0/0}]'"},
		"only the VPC":              {emulator.Subnet{Outbound: "10.0.0.0/8"}, "C9", "does not let the task out to ssmmessages.eu-west-1"},
		"a range of AWS":            {emulator.Subnet{Outbound: "52.0.0.0/8"}, "", ""},
		"endpoint":                  {emulator.Subnet{Default: "none", Endpoint: true, PrivateDNS: true, Outbound: "10.20.0.0/16"}, "", ""},
		"endpoint, nothing out":     {emulator.Subnet{Endpoint: true, PrivateDNS: true, Outbound: "none"}, "C9", "UserIdGroupPairs=[{GroupId=sg-0f2031425364758bb}]"},
		"endpoint is closed":        {emulator.Subnet{Endpoint: true, PrivateDNS: true, Inbound: "none"}, "C10", "aws ec2 authorize-security-group-ingress --group-id sg-0f2031425364758bb --ip-permissions 'IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=[{GroupId=sg-0e1f203142536475a}]'"},
		"endpoint for other ranges": {emulator.Subnet{Endpoint: true, PrivateDNS: true, Inbound: "10.99.0.0/16"}, "C10", "of the endpoint vpce-0d1e2f30415263748 does not admit the task"},
		"endpoint for the range":    {emulator.Subnet{Endpoint: true, PrivateDNS: true, Inbound: "10.20.0.0/16"}, "", ""},
		"unused endpoint is closed": {emulator.Subnet{Endpoint: true, Inbound: "none"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := with(func(task *emulator.Task) { task.Containers[0].Agent = stopped })
			f.Subnet = c.subnet
			report := newClinic(t, f).brisk().examine()
			if report.First() == nil || report.First().Cause != "C3" {
				t.Errorf("what is seen is the agent, the rest are hints: got %s", summary(report))
			}
			r := resultOf(t, report, "firewall")
			if c.cause == "" {
				if r.Finding.Verdict != doctor.Pass {
					t.Errorf("got %s", summary(report))
				}
				return
			}
			if r.Finding.Verdict != doctor.Warn || r.Cause != c.cause || !strings.Contains(r.Finding.Err.Error()+" → "+r.Remedy(), c.want) {
				t.Errorf("got %s %v → %s, want %s %q", r.Cause, r.Finding.Err, r.Remedy(), c.cause, c.want)
			}
			for _, other := range others(report, c.cause) {
				if other != "C3" {
					t.Errorf("beside %s it finds %s", c.cause, other)
				}
			}
			wantDocumented(t, report)
		})
	}
}

func TestGroupsThatMayNotBeLookedAtSayTheAction(t *testing.T) {
	t.Parallel()
	c := newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent = stopped })).brisk().fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ec2:DescribeSecurityGroups"}}
	})
	if r := resultOf(t, c.finds("agent", "C3"), "firewall"); r.Finding.Why != "may not look: ec2:DescribeSecurityGroups is not allowed" {
		t.Errorf("got %q", r.Finding.Why)
	}
}

// An agent that is started again and again is told from one that gave up and from one that starts.
func TestC11AgentCrashes(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"STOPPED", "PENDING"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, with(func(task *emulator.Task) {
				task.Containers[0].Agent = emulator.Agent{Status: status, Restarts: 400 * time.Millisecond}
			}))
			c.finds("agent", "C11", "crashes: it was started at", "more memory", "--force-new-deployment")
		})
	}
	t.Run("RUNNING at the moment", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, with(func(task *emulator.Task) {
			task.Containers[0].Agent = emulator.Agent{Restarts: 400 * time.Millisecond}
		})).fault(func(f *emulator.Faults) { f.Unregistered = true })
		c.options.Patience = 1500 * time.Millisecond
		c.finds("session", "C11", "crashes: it was started at", "more memory")
	})
}

func TestE4TaskRoleMayNotDecrypt(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.KMS = true })
	if err := c.account.Attach("role/s-task", jsonOf(t, aws.TaskRolePolicy())); err != nil {
		t.Fatal(err)
	}
	c.finds("handshake", "E4", "kms:Decrypt", "add to the policy of role s-task: ", `"Action":["kms:Decrypt"]`, `"arn:aws:kms:eu-west-1:111122223333:key/`)
}

func TestEncryptionWithEverythingAllowedIsNoTrouble(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.KMS = true })
	if first := c.examine().First(); first != nil {
		t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
	}
}

// A session that the account's limit has ended is told from one that its user has ended.
func TestG5SessionsRanIntoTheLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		found bool
	}{"at the limit": {2 * time.Minute, true}, "before it": {time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			clinic := newClinicWith(t, emulator.Options{Fleet: healthy(), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			clinic.fault(func(f *emulator.Faults) { f.Longest = 2 * time.Minute })
			session := clinic.start()
			ahead.Store(int64(c.after))
			if !c.found {
				clinic.account.KillSession(session, "")
			}
			need.Eventually(t, "its end", func() bool { return len(clinic.account.Sessions()) == 0 })
			if c.found {
				clinic.warns("ended", "G5", "1 sessions of the last day were ended by the account's maximum session duration of 2m0s", session, "maxSessionDuration")
				return
			}
			if r := resultOf(t, clinic.examine(), "ended"); r.Finding.Verdict != doctor.Pass {
				t.Errorf("got %s %v", r.Finding.Verdict, r.Finding.Err)
			}
		})
	}
}
