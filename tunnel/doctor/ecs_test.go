package doctor_test

import (
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel/doctor"
)

// with is a healthy account whose tasks are changed.
func with(change func(*emulator.Task)) emulator.Fleet {
	f := healthy()
	change(&f.Clusters[0].Services[0].Task)
	return f
}

func TestB1NotAllowedToLook(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "ecs:ListTasks"}} })
	c.finds("cluster", "B1", "not allowed: ecs:ListTasks", `"Action":["ecs:ListTasks"]`, "111122223333")
}

func TestB1DeniedByPolicy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeTasks", Kind: emulator.DenyByPolicy}}
	})
	c.finds("cluster", "B1", "explicit deny", "a deny outweighs every allow")
}

func TestB2NoSuchCluster(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy())
	c.options.Query.Cluster = "cc"
	c.finds("cluster", "B2", `no cluster "cc"`, "the nearest are: c")
}

func TestB2InactiveCluster(t *testing.T) {
	t.Parallel()
	f := healthy()
	f.Clusters[0].Status = "INACTIVE"
	newClinic(t, f).finds("cluster", "B2", `no cluster "c"`)
}

func TestB3NoSuchService(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy())
	c.options.Query.Service = "ss"
	c.finds("service", "B3", `no service "ss"`, "the nearest are: s")
}

func TestB4ScaledToZero(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy())
	if err := c.account.Scale("c", "s", 0); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "no task", func() bool { return len(c.account.Tasks("c", "s")) == 0 })
	// The last tasks are on their way down for a moment.
	need.Eventually(t, "none running", func() bool { return c.examine().First().Cause == "B4" })
	c.finds("service", "B4", "scaled to zero", "aws ecs update-service --cluster c --service s --desired-count 1")
}

func TestB4TasksDoNotStay(t *testing.T) {
	t.Parallel()
	for reason, remedy := range map[string]string{
		"CannotPullContainerError: pull image manifest has been retried 5 time(s)": "the image's name",
		"ResourceInitializationError: unable to pull secrets or registry auth":     "a route to ECR",
		"OutOfMemoryError: Container killed due to memory usage":                   "more memory",
		"Task failed container health checks":                                      "health check",
		"Capacity is unavailable at this time. Please try again later":             "Fargate capacity",
		"Your Spot Task was interrupted.":                                          "Spot capacity",
		"Essential container in task exited":                                       "read the container's log",
		"ECS was unable to assume the role 'x' that was provided for this task":    "ecs-tasks.amazonaws.com",
	} {
		f := healthy()
		s := &f.Clusters[0].Services[0]
		s.Count, s.Desired = 0, 1
		stopped := proxyTask()
		stopped.Status, stopped.StoppedReason = "STOPPED", reason
		s.Tasks = []emulator.Task{stopped}
		s.Steady = true
		t.Run(strings.Fields(reason)[0], func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, f)
			report := c.examine()
			if report.First() == nil || report.First().Check != "service" && report.First().Check != "task" {
				t.Fatalf("got %s", summary(report))
			}
			if text := report.First().Finding.Err.Error(); report.First().Cause == "B4" && !strings.Contains(text+report.First().Remedy(), remedy) {
				t.Errorf("got %q → %q, want %q", text, report.First().Remedy(), remedy)
			}
		})
	}
}

func TestB5TaskOnItsWayUp(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Status = "PENDING" })).finds("task", "B5", "the task is PENDING", "--wait")
}

func TestB5TaskIsGone(t *testing.T) {
	t.Parallel()
	f := healthy()
	gone := proxyTask()
	gone.ID, gone.Status, gone.StoppedReason = strings.Repeat("0123", 8), "STOPPED", "Essential container in task exited"
	f.Clusters[0].Tasks = []emulator.Task{gone}
	c := newClinic(t, f)
	c.options.Query = aws.Query{Cluster: "c", Task: gone.ID}
	c.finds("task", "B5", "is STOPPED", "read the container's log")
}

func TestB6LostContact(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Connectivity = "DISCONNECTED" })).finds("task", "B6", "DISCONNECTED", "another task")
}

func TestB7DeploymentUnderWay(t *testing.T) {
	t.Parallel()
	f := healthy()
	s := &f.Clusters[0].Services[0]
	next := proxyTask()
	next.Revision = 2
	s.Rollout, s.Steady, s.Desired = &emulator.Rollout{Task: next, Running: 1, Pending: 1}, true, 3
	newClinic(t, f).warns("service", "B7", "deployment of s is under way", "aws ecs wait services-stable")
}

func TestC1ExecIsOff(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.ExecOff = true })).
		finds("exec", "C1", "ECS Exec is off", "aws ecs update-service --cluster c --service s --enable-execute-command --force-new-deployment")
}

func TestC1ExecCameAfterTheTask(t *testing.T) {
	t.Parallel()
	f := with(func(task *emulator.Task) { task.ExecOff = true })
	f.Clusters[0].Services[0].ExecLater = true
	newClinic(t, f).finds("exec", "C1", "older than the service's setting", "--force-new-deployment")
}

func TestC2PlatformIsTooOld(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) {
		task.PlatformVersion, task.Containers[0].Agent = "1.3.0", emulator.Agent{Absent: true}
	})).finds("agent", "C2", "older than ECS Exec", "1.4.0")
}

func TestC3AgentIsStarting(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent.Status = "PENDING" })).brisk().finds("agent", "C3", "still starting", "up to a minute")
}

// stopped is an agent that gave up.
var stopped = emulator.Agent{Status: "STOPPED", Reason: "ExecuteCommandAgent process exited with exit code: 1"}

func TestC3AgentCannotWrite(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent, task.Containers[0].ReadonlyRootFS = stopped, true })).
		finds("agent", "C3", "exit code: 1", "set readonlyRootFilesystem to false for app", "--force-new-deployment")
}

func TestC3AgentUsesStrayKeys(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) {
		task.Containers[0].Agent, task.Containers[0].Environment = stopped, []string{"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE"}
	})).finds("agent", "C3", "take AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY out of app's environment")
}

func TestC4NoTaskRole(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent, task.NoRole = stopped, true })).
		finds("agent", "C4", "has no task role", "ssmmessages:CreateControlChannel", "task_role_arn")
}

func TestC5RoleLacksTheActions(t *testing.T) {
	t.Parallel()
	c := newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent = stopped })).brisk()
	if err := c.account.Attach("role/s-task", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssmmessages:Open*","Resource":"*"}]}`)); err != nil {
		t.Fatal(err)
	}
	report := c.examine()
	r := resultOf(t, report, "role")
	if r.Finding.Verdict != doctor.Warn || r.Cause != "C5" {
		t.Fatalf("got %s", summary(report))
	}
	if text := r.Finding.Err.Error(); !strings.Contains(text, "role/s-task may not do ssmmessages:CreateControlChannel, ssmmessages:CreateDataChannel") {
		t.Errorf("got %q", text)
	}
	if report.First().Cause != "C3" {
		t.Errorf("a simulation is only a hint: the cause is %s, want C3", report.First().Cause)
	}
}

func TestC7Warnings(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Containers[0].NoInit = true })).warns("definition", "C7", "initProcessEnabled", "linuxParameters.initProcessEnabled")
	newClinic(t, with(func(task *emulator.Task) { task.PIDMode = "task" })).warns("definition", "C7", "pidMode task")
}

func TestC8NoWayToSessionManager(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subnet emulator.Subnet
		want   string // in error and remedy; empty: the way is complete
	}{
		"nat":                          {emulator.Subnet{}, ""},
		"nothing":                      {emulator.Subnet{Default: "none"}, "com.amazonaws.eu-west-1.ssmmessages"},
		"internet gateway":             {emulator.Subnet{Default: "igw-1"}, "assignPublicIp"},
		"internet gateway and address": {emulator.Subnet{Default: "igw-1", PublicIP: true}, ""},
		"endpoint":                     {emulator.Subnet{Default: "none", Endpoint: true, PrivateDNS: true}, ""},
		"endpoint without its name":    {emulator.Subnet{Default: "none", Endpoint: true}, "--private-dns-enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := with(func(task *emulator.Task) { task.Containers[0].Agent = stopped })
			f.Subnet = c.subnet
			report := newClinic(t, f).brisk().examine()
			r := resultOf(t, report, "network")
			if c.want == "" {
				if r.Finding.Verdict != doctor.Pass {
					t.Errorf("got %s", summary(report))
				}
				return
			}
			if r.Finding.Verdict != doctor.Warn || r.Cause != "C8" || !strings.Contains(r.Finding.Err.Error()+r.Remedy(), c.want) {
				t.Errorf("got %v → %s, want %q", r.Finding.Err, r.Remedy(), c.want)
			}
		})
	}
}

func TestHintsThatMayNotBeLookedAtSayTheAction(t *testing.T) {
	t.Parallel()
	c := newClinic(t, with(func(task *emulator.Task) { task.Containers[0].Agent = stopped })).brisk().fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "iam:*"}, {Action: "ec2:*"}}
	})
	report := c.finds("agent", "C3")
	for check, action := range map[string]string{"role": "iam:SimulatePrincipalPolicy", "network": "ec2:DescribeSubnets"} {
		if r := resultOf(t, report, check); r.Finding.Why != "may not look: "+action+" is not allowed" {
			t.Errorf("%s: got %q", check, r.Finding.Why)
		}
	}
}

func TestOutlook(t *testing.T) {
	t.Parallel()
	f := healthy()
	f.Clusters[0].Services[0].Count = 1
	newClinic(t, f).warns("outlook", "G3", "a single task", "--desired-count 2")
	newClinic(t, with(func(task *emulator.Task) { task.CapacityProvider = "FARGATE_SPOT" })).warns("outlook", "G4", "Spot")
}
