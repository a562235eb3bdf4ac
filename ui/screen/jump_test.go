package screen

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

func TestTheJumpLeadsToAnything(t *testing.T) {
	o := Options{Saved: Saved{
		Tunnels: []SavedTunnel{{Name: "orders-db", Target: aws.Target{Cluster: "automation", Service: "squid"}, Forward: forward("15432:orders-db.internal:5432")}},
		Groups:  []SavedGroup{{Name: "evening", Tunnels: []string{"orders-db"}}},
	}}
	visit := func() *app {
		a := newTestApp(t, o, 110, 34)
		arrives(a, sampleAccount())
		r := addRow(a, somewhere("127.0.0.1:3130"))
		for _, c := range busyConnections()[:2] {
			r.hosts.end(c)
		}
		return a
	}
	task := sampleAccount().Clusters[0].Tasks[0].ID
	for _, c := range []struct {
		typed string
		first []string // in the row that matches best
		there []string // after enter
	}{
		{"shop", []string{"shop", "cluster"}, []string{"shop › services 1", "▌web"}},
		{"reports", []string{"reports", "service", "automation"}, []string{"automation › services 5", "▌reports"}},
		{"automation/rep", []string{"reports", "service"}, []string{"▌reports"}},
		{"kind:service squid", []string{"squid", "service"}, []string{"▌squid"}},
		{task[:6], []string{task[:12], "task", "automation/squid"}, []string{"automation › squid › tasks 2", "▌" + task[:12]}},
		{"3130", []string{"squid:3128", "tunnel", "⇄ 127.0.0.1:3130"}, []string{"▌127.0.0.1:3130"}},
		{"blocked", []string{"blocked.internal", "host"}, []string{"[hosts 2]", "▌blocked.internal"}},
		{"all serv", []string{"all services", "key", "0"}, []string{"all services 5"}},
		{"kind:key log", []string{"log", "key", "L"}, []string{"Log info and above"}},
		{"kind:key quit", []string{"quit", "key", "q"}, []string{"One tunnel is open"}},
	} {
		for _, opens := range []string{":", "ctrl+p"} {
			a := visit()
			press(t, a, opens)
			typed(t, a, c.typed)
			if line := underIn(t, a, a.dialog); !holdsAll(line, c.first...) {
				t.Errorf("%s%s: the best match is %q, want %q\n%s", opens, c.typed, line, c.first, shot(a))
			}
			wellFormed(t, a)
			press(t, a, "enter")
			want(t, a, c.there...)
		}
	}
	a := visit()
	press(t, a, ":", "z", "q", "z")
	want(t, a, "Nothing is called so")
	press(t, a, "enter") // leads nowhere
	press(t, a, "esc")
	want(t, a, "clusters 3")
	press(t, a, ":")
	golden(t, "jump-110x34", shot(a))
	for _, size := range [][2]int{{60, 15}, {80, 24}, {160, 50}} {
		a.width, a.height = size[0], size[1]
		wellFormed(t, a)
	}
}

// underIn is the row with the cursor in a dialog, which lies over others.
func underIn(t *testing.T, a *app, dialog screen) string {
	t.Helper()
	for _, line := range dialog.draw(86, 20, true) {
		if strings.Contains(line, a.theme.Glyph.Cursor) {
			return line
		}
	}
	return ""
}

func holdsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func TestNamesFromOutsideAreHarmlessInTheJump(t *testing.T) {
	a := newTestApp(t, Options{Saved: Saved{Tunnels: []SavedTunnel{{Name: "evil\x1b[2J", Target: aws.Target{Cluster: "c", Service: "\x1b]0;owned\x07"}, Forward: forward("1")}}}}, 100, 30)
	arrives(a, &aws.Catalog{Taken: start(), Clusters: []aws.Cluster{{Name: "\x1b[2J\u202e", Services: []aws.Service{{Name: "サービス\x1b[2J" + strings.Repeat("x", 300)}}}}})
	many(a, 20)
	for _, r := range a.tunnels.rows {
		r.hosts.end(tunnel.Connection{ID: 1, Host: "h\x1b[2J" + strings.Repeat("y", 200), Ended: start()})
	}
	press(t, a, ":")
	wellFormed(t, a)
	for range 40 {
		press(t, a, "down")
		wellFormed(t, a)
	}
}

// fleetOf is an account of small clusters.
func fleetOf(names ...string) emulator.Fleet {
	var f emulator.Fleet
	for _, name := range names {
		app := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: emulator.Web}}}}
		f.Clusters = append(f.Clusters, emulator.Cluster{Name: name, Services: []emulator.Service{{Name: name + "-web", Count: 1, Task: app}, {Name: name + "-jobs", Count: 1, Task: app}}})
	}
	return f
}

// calls counts what was asked of an account for its lists.
func calls(account *emulator.Emulator) map[string]int {
	all := map[string]int{}
	for _, action := range []string{"ListClusters", "DescribeClusters", "ListServices", "DescribeServices", "ListTasks", "DescribeTasks"} {
		all[action] = account.Calls(action)
	}
	return all
}

// Nothing is asked for what is not looked at: who begins in one cluster, stays in it, and jumps from it.
func TestOnlyWhatIsLookedAtIsAskedFor(t *testing.T) {
	l, account := worldOf(t, Options{At: aws.Target{Cluster: "b", Service: "b-web"}, Refresh: 50 * time.Millisecond}, fleetOf("a", "b", "c", "d"))
	l.until("b › services 2", "▌b-web")
	before := calls(account)
	if before["ListClusters"] != 0 || before["ListServices"] < 1 || before["ListServices"] != before["ListTasks"] {
		t.Errorf("beginning in one cluster took %v, want no list of the others", before)
	}
	taken := l.a.here.catalog
	for l.a.here.catalog == taken { // it is looked at again
		l.step()
	}
	if now := calls(account); now["ListClusters"] != 0 || now["DescribeClusters"] != 0 {
		t.Errorf("looking again at one cluster took %v, want no list of the others", now)
	}

	l.a.here.ended = time.Now().Add(time.Hour)
	for l.a.here.looking {
		l.step()
	}
	before = calls(account)
	l.press(":")
	l.until("d-jobs", "a-web", "▌a     ")
	for l.a.here.naming {
		l.step()
	}
	now := calls(account)
	if names := now["ListServices"] - before["ListServices"]; now["ListClusters"] != 1 || names != 3 || now["DescribeServices"] != before["DescribeServices"] || now["ListTasks"] != before["ListTasks"] {
		t.Errorf("the names of three more clusters took %v after %v, want their services listed once, and nothing else", now, before)
	}
	l.press("esc", ":", "esc", ":")
	if again := calls(account); again["ListServices"] != now["ListServices"] || again["ListClusters"] != 1 {
		t.Errorf("the palette asks each time it opens: %v", again)
	}
	for _, r := range "d-j" {
		l.press(string(r))
	}
	l.press("enter")
	l.until("d › services 2", "▌d-jobs")
	if last := calls(account); last["ListClusters"] != 1 {
		t.Errorf("going to one more cluster took %v, want no list of all", last)
	}
	l.press("esc") // and now all of them are looked at
	l.until("clusters 4")
}

func TestAllServicesAreOneList(t *testing.T) {
	l, account := worldOf(t, Options{}, fleetOf("a", "b"))
	l.until("clusters 2", "as of")
	asked := calls(account)
	l.press("0")
	l.until("all services 4", "CLUSTER", "a-jobs", "b-web")
	if now := calls(account); fmt.Sprint(now) != fmt.Sprint(asked) {
		t.Errorf("the list of what is known already took %v after %v", now, asked)
	}
	l.press("/", "b", "-", "w", "enter")
	l.until("all services 1 of 4", "▌b-web")
	l.press("F")
	l.until("forward b/b-web")
	l.press("esc", "enter")
	l.until("b › b-web › tasks 1")
	l.press("esc")
	l.until("all services 1 of 4", "▌b-web")
	l.press("esc", "esc")
	l.until("clusters 2")
}

func TestAStartPlaceThatIsNotThereSaysSo(t *testing.T) {
	for _, c := range []struct {
		open  aws.Target
		wants []string
	}{
		{aws.Target{Cluster: "b"}, []string{"b › services 2"}},
		{aws.Target{Cluster: "b", Service: "b-wbe"}, []string{"b › services 2", `! no service "b-wbe" in cluster b`, "b-web"}},
		{aws.Target{Cluster: "bb"}, []string{"clusters 2", `! no cluster "bb"`, "nearest are: b"}},
		{aws.Target{Cluster: "bb", Service: "x"}, []string{"clusters 2", `! no cluster "bb"`}},
	} {
		l, _ := worldOf(t, Options{At: c.open}, fleetOf("b", "other"))
		l.until(c.wants...)
	}
	l, account := worldOf(t, Options{}, fleetOf("b"))
	l.until("clusters 1")
	task := account.Tasks("b", "b-web")[0]
	for _, open := range []aws.Target{{Cluster: "b", Task: task}, {Cluster: "b", Service: "b-web", Task: task[:8]}, {Cluster: "b", Task: task, Container: "app"}} {
		l.run(l.a.grant(l.a.browse.seek(open)))
		if open.Container != "" {
			l.until("b › b-web › "+task[:10], "containers 1", "▌app")
		} else {
			l.until("b › b-web › tasks 1", "▌"+task[:12])
		}
	}
}

// A look that goes on shows the cluster that it is about before ECS has said whether there is one.
func TestAStartPlaceIsSoughtUntilItIsKnown(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	p := a.here
	p.seeing, p.sight, p.catalog = nil, clusterSight("bb"), &aws.Catalog{Clusters: []aws.Cluster{{Name: "bb"}}}
	a.browse.aim(aws.Target{Cluster: "bb"})
	a.grant(a.browse.arrived())
	a.grant(p.looked(clusterSight("bb"), &aws.Catalog{}, nil))
	if p.sight != clusters || !p.looking {
		t.Error("the others are not asked for, whose names may have been meant")
	}
	a.grant(p.looked(clusters, sampleAccount(), nil))
	want(t, a, `no cluster "bb"`, "clusters")
}

func TestNamesThatCannotBeListedAreSaidToBeMissing(t *testing.T) {
	l, _ := worldOf(t, Options{At: aws.Target{Cluster: "b"}}, fleetOf("a", "b"))
	l.until("b › services 2", "as of")
	l.a.here.nameless = errors.New("not allowed: ecs:ListClusters")
	l.a.here.names, l.a.here.namedAt = &aws.Catalog{}, time.Now()
	l.press(":")
	l.until("! not all names: not allowed: ecs:ListClusters", "b-web")
}

func clusterSight(name string) aws.Sight { return aws.Sight{Cluster: name, Parts: inside} }

// A look at one cluster that ends when the user looks at another is followed by one at that.
func TestALookThatIsTooSmallIsFollowedByAnother(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	p := a.here
	p.sight, p.seeing = clusterSight("shop"), nil
	part := &aws.Catalog{Taken: start(), Clusters: []aws.Cluster{{Name: "automation"}}}
	for _, c := range []struct {
		looked aws.Sight
		due    bool
	}{{clusterSight("automation"), true}, {clusters, true}, {clusterSight("shop"), false}, {everything, false}} {
		p.began = a.now
		a.grant(p.looked(c.looked, part, nil))
		if p.due() != c.due {
			t.Errorf("after a look at %+v another is due: %t, want %t", c.looked, p.due(), c.due)
		}
	}
}
