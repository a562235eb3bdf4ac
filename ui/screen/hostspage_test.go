package screen

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"culvert/aws/emulator"
	"culvert/tunnel"
)

// From the first page of the demo to a forward to a database: the page, the dialog, and a yes. They may be pressed at once.
func TestADatabaseIsForwardedToInThreeKeys(t *testing.T) {
	l, account := worldOf(t, Options{Demo: true}, emulator.Demo())
	l.until("automation", "as of")
	if n := account.Calls("DescribeDBInstances"); n > 0 {
		t.Errorf("RDS was asked %d times before anybody wanted to see hosts", n)
	}
	l.press("H", "F") // before there is a row
	l.until("forward shop/web", "remote port   5432", "remote host   orders-db.internal", "admitted", "  free")
	l.press("enter")
	l.until("private hosts 4", "▌postgres", "orders-db", "● admitted", "◐ not checked", "✕ no rule", "● open", "orders-db.internal:5432")
	if n := account.Calls("DescribeDBInstances"); n != 1 {
		t.Errorf("RDS was asked %d times, want once", n)
	}
	r := l.a.tunnels.rows[0]
	if got := fmt.Sprint(r.Spec.Remote); got != fmt.Sprint(tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}) {
		t.Errorf("the tunnel leads to %s", got)
	}
}

// What is missing is named, and looked for again when the user says so; nothing else is asked for meanwhile.
func TestAPermissionThatIsMissingIsNamedUntilItIsGiven(t *testing.T) {
	l, account := worldOf(t, Options{}, emulator.Demo())
	l.until("automation", "as of")
	deny := func(actions ...string) {
		account.Fault(func(f *emulator.Faults) {
			f.API = nil
			for _, action := range actions {
				f.API = append(f.API, emulator.APIFault{Action: action, Kind: emulator.Deny})
			}
		})
	}
	deny("rds:DescribeDBInstances")
	l.press("H")
	l.until("private hosts 3", "list databases: not allowed: rds:DescribeDBInstances", "sessions", "● admitted", "as of")
	wantNot(t, l.a, "orders-db")
	deny("rds:DescribeDBInstances", "elasticache:DescribeReplicationGroups", "ec2:DescribeSecurityGroups")
	l.press("ctrl+r")
	l.until("private hosts 2", "not listed: caches (elasticache:DescribeReplicationGroups), databases (rds:DescribeDBInstances)", "security groups", "(ec2:DescribeSecurityGroups)", "◐ not checked", "as of")
	deny()
	l.press("ctrl+r")
	l.until("private hosts 4", "orders-db", "sessions", "✕ no rule", "as of")
	wantNot(t, l.a, "not listed", "not allowed")

	before := account.AllCalls()
	for range 20 { // nobody looks again by himself
		_, cmd := l.a.Update(tickMsg{l.a.beat})
		l.run(cmd)
	}
	for l.a.here.busy() {
		l.step()
	}
	if after := account.AllCalls(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("an open page has asked for more: %v, then %v", before, after)
	}
	deny("ecs:ListClusters")
	l.press("ctrl+r")
	l.until("! ", "not allowed: ecs:ListClusters", "private hosts 4", "● admitted") // as it was known before
}

// What a definition holds beside hosts and ports is nobody's: neither on a screen, nor in the log, nor on the clipboard.
func TestNoSecretOfADefinitionIsShown(t *testing.T) {
	const secret = "Tr0ub4dor&3-hunter2"
	app := emulator.Container{
		Name: "app", Ports: map[uint16]string{7000: "127.0.0.1:1"},
		Environment: []string{
			"DATABASE_URL=postgres://orders:" + secret + "@orders-db.internal:5432/" + secret + "?sslpassword=" + secret, "DSN=host=other.internal password=" + secret,
			"REDIS_HOST=cache.internal", "REDIS_PORT=6380", "REDIS_PASSWORD=" + secret, "AMQP=amqps://" + secret + ":" + secret + "@mq.internal/" + secret,
		},
		Secrets: []string{"MONGO_URL=arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/mongo-Ab12Cd:url::"},
	}
	ring := &LogRing{}
	l, _ := worldOf(t, Options{Log: ring}, emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "shop", Services: []emulator.Service{{Name: "web", Count: 1, Task: emulator.Task{Containers: []emulator.Container{app}}}},
	}}})
	l.until("shop", "as of")
	l.press("H")
	l.until("private hosts 5", "orders-db.internal:5432", "other.internal:?", "cache.internal:6380", "mq.internal:5671", "set by secret prod/mongo", "as of")
	var seen strings.Builder
	see := func() { seen.WriteString(l.a.View().Content) }
	see()
	for range 5 {
		for _, keys := range [][]string{{"y"}, {"enter", "y"}, {"G", "y"}, {"F"}, {"ctrl+y"}} {
			press(t, l.a, keys...) // what was copied is told in the next frame
			see()
		}
		press(t, l.a, "esc", "esc")
		if _, list := l.a.page().(*hostsPage); !list {
			press(t, l.a, "H")
		}
		press(t, l.a, "down")
	}
	press(t, l.a, "esc", "L")
	for _, size := range [][2]int{{80, 24}, {300, 100}} {
		l.a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		see()
	}
	lines, _ := ring.since(0)
	for _, line := range lines {
		seen.WriteString(line.Message + " " + line.Facts + "\n")
	}
	for _, part := range []string{secret, "Tr0ub4dor", "hunter2", "sslpassword"} {
		if at := strings.Index(seen.String(), part); at >= 0 {
			t.Errorf("%q was shown: %q", part, seen.String()[max(at-200, 0):at+len(part)])
		}
	}
	if !strings.Contains(seen.String(), "MONGO_URL") || !strings.Contains(seen.String(), "prod/mongo") {
		t.Error("the variable that a secret sets is nowhere")
	}
}
