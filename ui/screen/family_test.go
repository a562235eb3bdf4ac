package screen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// paired is an account whose service's tasks have a container that maps the port, a sidecar and one that is over.
func paired(network string, agent aws.Agent) *aws.Catalog {
	c := sampleAccount()
	web := &c.Clusters[2].Tasks[0]
	web.NetworkMode = network
	app, xray, over := web.Containers[0], web.Containers[1], web.Containers[2]
	app.Name, app.Agent, app.Essential = "app", agent, true
	app.Ports = []aws.Port{{Container: 3000, Last: 4000, Protocol: "tcp"}}
	xray.Name, xray.Ports = "xray", nil
	over.Name, over.Status, over.Agent.Status = "a-prepare", "STOPPED", "STOPPED"
	web.Containers = []aws.Container{over, app, xray}
	return c
}

func TestTheDialogTakesTheContainerThatWillDo(t *testing.T) {
	stopped, running := aws.Agent{Status: "STOPPED"}, aws.Agent{Status: "RUNNING"}
	for name, test := range map[string]struct {
		network string
		agent   aws.Agent
		want    string
	}{
		"it maps the port":      {"awsvpc", running, "app"},
		"it shares the network": {"awsvpc", stopped, "xray"},
		"it shares the host's":  {"host", stopped, "xray"},
	} {
		a := newTestApp(t, Options{}, 100, 40)
		arrives(a, paired(test.network, test.agent))
		press(t, a, "G", "enter", "F")
		d := a.dialog.(*connect)
		if got := d.container.Value(); got != test.want || d.port.Value() != "3000" {
			t.Errorf("%s: got container %s and port %s, want %s and 3000", name, got, d.port.Value(), test.want)
		}
		want(t, a, "3000-4000")
		if got := d.target(); !got.AnyContainer || got.Port != 3000 || got.Container != "" {
			t.Errorf("%s: it leads to %+v, want any container that serves port 3000", name, got)
		}
		if got := d.recipe(tunnel.Forward{}).command(); strings.Contains(got, "--container") {
			t.Errorf("%s: %s names a container, and any will do", name, got)
		}
		if slices.ContainsFunc(d.containers, func(c aws.Container) bool { return c.Name == "a-prepare" }) {
			t.Errorf("%s: a container that is over is offered", name)
		}
		press(t, a, "right") // the user's choice is exact
		if got := d.target(); got.AnyContainer || got.Container == "" || got.Container == test.want {
			t.Errorf("%s: it leads to %+v, want the container that was chosen", name, got)
		}
		if got := d.recipe(tunnel.Forward{}).command(); !strings.Contains(got, "--container "+d.container.Value()) {
			t.Errorf("%s: %s does not name the chosen container", name, got)
		}
		press(t, a, "esc", "enter", "enter", "G", "F") // on the row of one container
		d = a.dialog.(*connect)
		if got := d.recipe(tunnel.Forward{}).command(); !strings.Contains(got, "/"+d.target().Container+" ") {
			t.Errorf("%s: %s does not name the container of the row", name, got)
		}
	}
	a := newTestApp(t, Options{}, 100, 40)
	arrives(a, paired("bridge", stopped))
	press(t, a, "G", "enter", "enter", "F")
	if got := a.dialog.(*connect).target(); got.Port == 3000 && got.Container == "xray" {
		t.Errorf("bridge: it leads to %+v, which is another network", got)
	}
	press(t, a, "esc", "enter")
	want(t, a, "3000-4000", "stopped")
}

func TestSeveralPortsGoThroughTheContainersThatServeThem(t *testing.T) {
	c := paired("awsvpc", aws.Agent{Status: "STOPPED"})
	k := &c.Clusters[2]
	forks := forksOf(entry{cluster: k, task: &k.Tasks[0]})
	if len(forks) != 1 || forks[0].port != 3000 || forks[0].to.Container != "xray" || forks[0].to.RuntimeID != k.Tasks[0].Containers[2].RuntimeID || !forks[0].to.AnyContainer {
		t.Errorf("got %+v, want port 3000 through xray", forks[0].to)
	}
}

func TestATaskOfNoServiceIsFollowedByItsFamily(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) }))
	t.Cleanup(server.Close)
	job := emulator.Task{Family: "nightly", Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{7000: server.Listener.Addr().String()}}}}
	l, account := worldOf(t, Options{}, emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Tasks: []emulator.Task{job, job}}}})
	l.until("as of")
	local := need.Port(t)
	l.press("enter", "enter")
	l.until("tasks 2")
	l.press("F")
	l.until("when it ends, the newest one of family nightly")
	d := l.a.dialog.(*connect)
	first := d.to.Task
	d.chosen = true
	d.local.Set(fmt.Sprint(local))
	l.press("enter")
	l.until("● open")
	r := l.a.tunnels.rows[0]
	if r.Spec.Pinned || r.Spec.Target.Family != "nightly" {
		t.Errorf("it was opened for %+v, pinned %t; want one that follows its family", r.Spec.Target, r.Spec.Pinned)
	}
	if err := account.StopTask(first, "test"); err != nil {
		t.Fatal(err)
	}
	l.when("another task of the family", func() bool {
		state, _ := r.tunnel.State()
		return state == tunnel.Open && r.tunnel.Link().Target.Task != first
	})
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", local))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	saved, ok := saving(r, func(string) bool { return false })
	if !ok || saved.Target.String() != "c//nightly" || saved.Name != "nightly" {
		t.Errorf("it would be saved as %+v, %t; want c//nightly", saved, ok)
	}
	if got := strings.Join((recipe{target: lasting(r.Spec), forward: saved.Forward}).flags(), " "); !strings.Contains(got, "--target c//nightly") {
		t.Errorf("got %s, want --target c//nightly", got)
	}
}

func TestTheScreenBeginsAtAFamily(t *testing.T) {
	c := sampleAccount()
	k := &c.Clusters[0]
	k.Tasks[len(k.Tasks)-1].Family = "etl"
	a := newTestApp(t, Options{At: aws.Target{Cluster: "automation", Family: "etl"}}, 100, 40)
	arrives(a, c)
	want(t, a, "no service")
	if got := a.browse.table().At(); got != k.Tasks[len(k.Tasks)-1].ID {
		t.Errorf("the cursor is on %s, want the task of the family\n%s", got, shot(a))
	}
}
