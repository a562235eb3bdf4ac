package doctor_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// What the doctor says of a relay: nothing is wrong where there is none, and what is costs speed alone, unless it is required.
func TestTheRelay(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() }) // it takes connections, and says nothing
	greets := saying(t, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3, which is no answer to a hello of culvert's, whoever reads it\r\n")
	older := saying(t, "cvrelay!"+"\x00\x00\x00\x16\x00"+strings.Repeat("i", 16)+"0.9.0")
	type change = func(*emulator.Task)
	serving := func(address string) change {
		return func(task *emulator.Task) { task.Containers[1].Ports[7300] = address }
	}
	for name, test := range map[string]struct {
		change  change
		mode    tunnel.RelayMode
		verdict doctor.Verdict
		says    string // of error or evidence
		remedy  string
		cause   string
	}{
		"it answers":            {func(*emulator.Task) {}, tunnel.RelayAuto, doctor.Pass, "culvert-relay, port 7300 answers after", "", ""},
		"what the task affords": {func(*emulator.Task) {}, tunnel.RelayRequire, doctor.Pass, "the task affords 8 sessions", "", ""},
		"too small":             {func(task *emulator.Task) { task.CPU, task.Memory = "256", "512" }, tunnel.RelayAuto, doctor.Warn, "its task has 256 CPU units and 512 MiB", "give the task 1024 CPU units and 1024 MiB", "E11"},
		"none":                  {func(task *emulator.Task) { task.Containers = task.Containers[:1] }, tunnel.RelayAuto, doctor.Skipped, "there is none", "", ""},
		"in the only container": {func(task *emulator.Task) {
			task.Containers = task.Containers[:1]
			task.Containers[0].Ports[7300], task.Containers[0].PortNames = emulator.Relay, map[uint16]string{7300: aws.RelayName}
		}, tunnel.RelayAuto, doctor.Pass, "squid, port 7300 answers after", "", ""},
		"none, and required": {func(task *emulator.Task) { task.Containers = task.Containers[:1] }, tunnel.RelayRequire, doctor.Fail, "no port mapping of its task definition is named culvert-relay", "relay_image", "E8"},
		"stopped":            {func(task *emulator.Task) { task.Containers[1].Over = true }, tunnel.RelayAuto, doctor.Warn, "its container culvert-relay has stopped", "its log", "E8"},
		"nobody listens":     {serving(""), tunnel.RelayAuto, doctor.Warn, "the relay (culvert-relay, port 7300)", "see the log of the container culvert-relay", "E9"},
		"mute":               {serving(mute.Addr().String()), tunnel.RelayAuto, doctor.Warn, "no answer", "see the log of the container culvert-relay", "E9"},
		"mute, and required": {serving(mute.Addr().String()), tunnel.RelayRequire, doctor.Fail, "no answer", "see the log of the container culvert-relay", "E9"},
		"another protocol":   {serving(greets.Addr().String()), tunnel.RelayAuto, doctor.Warn, "no relay of culvert's", "see the log of the container culvert-relay", "E9"},
		"another version":    {serving(older.Addr().String()), tunnel.RelayAuto, doctor.Warn, "speaks version 0 of its protocol", "use the relay's image of this culvert's release", "E10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := emulator.Task{CPU: "1024", Memory: "2048", Containers: []emulator.Container{
				{Name: "squid", Ports: map[uint16]string{3128: emulator.Proxy}},
				{Name: "culvert-relay", Ports: map[uint16]string{7300: emulator.Relay}, PortNames: map[uint16]string{7300: aws.RelayName}, NonEssential: true},
			}}
			test.change(&task)
			c := newClinicWith(t, emulator.Options{Fleet: emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task}}}}}})
			c.options.Only, c.options.Relay = []string{"relay"}, test.mode
			report := c.examine()
			for _, r := range report.Results {
				if r.Check != "relay" {
					if r.Finding.Verdict == doctor.Fail {
						t.Errorf("%s fails: %v", r.Check, r.Finding.Err)
					}
					continue
				}
				said := strings.Join(r.Finding.Evidence, "; ") + r.Finding.Why
				if r.Finding.Err != nil {
					said = r.Finding.Err.Error()
				}
				if r.Finding.Verdict != test.verdict || !strings.Contains(said, test.says) || !strings.Contains(r.Remedy(), test.remedy) || (test.remedy == "") != (r.Remedy() == "") || r.Cause != test.cause {
					t.Errorf("got %s: %s (%s), cause %q", r.Finding.Verdict, said, r.Remedy(), r.Cause)
				}
			}
		})
	}
}

// saying is a server that says the same to all, once they have said something, and then nothing.
func saying(t *testing.T, text string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_, _ = io.WriteString(conn, text)
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return l
}

// Nobody looks for a relay where it is not to be used, or could not be.
func TestTheRelayIsNotLookedFor(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*doctor.Options){
		"--relay no":     func(o *doctor.Options) { o.Relay = tunnel.RelayNo },
		"another host":   func(o *doctor.Options) { o.Spec.Remote.Host = "db.internal" },
		"any host there": func(o *doctor.Options) { o.Spec.Dynamic = &tunnel.Dynamic{} },
	} {
		c := newClinicWith(t, emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: emulator.Task{Containers: []emulator.Container{{Name: "squid", Ports: map[uint16]string{3128: ""}}}}}}}}}}).brisk()
		change(&c.options)
		for _, r := range c.examine().Results {
			if r.Check == "relay" {
				t.Errorf("%s: it is looked for", name)
			}
		}
	}
}

// Who may not read task definitions is told that nobody knows of a relay, and not that there is none.
func TestTheRelayIsNotKnownOf(t *testing.T) {
	t.Parallel()
	c := newClinicWith(t, emulator.Options{Fleet: emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: emulator.Task{
		Containers: []emulator.Container{{Name: "squid", Ports: map[uint16]string{3128: emulator.Proxy}}},
	}}}}}}})
	c.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ecs:DescribeTaskDefinition", Kind: emulator.Deny}}
	})
	c.options.Only = []string{"relay"}
	report := c.examine()
	last := report.Results[len(report.Results)-1]
	if f := last.Finding; last.Check != "relay" || f.Verdict != doctor.Skipped || f.Err == nil || f.Why != "may not look: ecs:DescribeTaskDefinition is not allowed" {
		t.Errorf("%s: got %s, %q, %v", last.Check, f.Verdict, f.Why, f.Err)
	}
}
