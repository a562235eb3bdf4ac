package tunnel_test

import (
	"errors"
	"slices"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// twoContainers gives the world's service a sidecar without ports, and has Session Manager lose the agents of some
// containers while ECS goes on to show them RUNNING.
func twoContainers(w *world, silent ...string) {
	w.Helper()
	server := need.Server(w.T, need.Echo)
	for range 2 {
		task := emulator.Task{Family: "pair", Containers: []emulator.Container{
			{Name: "app", Ports: map[uint16]string{port: server}, Agent: emulator.Agent{Silent: slices.Contains(silent, "app")}},
			{Name: "xray", NonEssential: true, Agent: emulator.Agent{Silent: slices.Contains(silent, "xray")}},
		}}
		if _, err := w.account.StartTask("c", task); err != nil {
			w.Fatal(err)
		}
	}
	q := aws.Query{Cluster: "c", Family: "pair", Port: port}
	need.Eventually(w.T, "a task that is ready", func() bool {
		_, err := w.client.Lookup(w.Context(), q)
		return err == nil
	})
}

func TestAnotherContainerTakesTheSessionThatOneCannot(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	twoContainers(w, "app")
	target, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Family: "pair", Port: port})
	if err != nil || target.Container != "app" {
		t.Fatalf("got %v, %v; want app, which maps the port", target, err)
	}
	tn := w.open(tunnel.Spec{Target: target, Pinned: true})
	mustExchange(t, w.dial(tn), []byte("through the sidecar"))
	if got := tn.Link().Target; got.Container != "xray" || got.Task != target.Task {
		t.Errorf("it leads to %v, want xray of the same task", got)
	}
	if n := w.account.Calls("StartSession"); n != 2 {
		t.Errorf("%d sessions were asked for, want one of each container", n)
	}
	// From now on it is known.
	again, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Task: target.Task, Port: port})
	if err != nil || again.Container != "xray" {
		t.Errorf("got %v, %v; want xray at once", again, err)
	}
}

func TestAContainerThatIsNamedStaysThatOne(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	twoContainers(w, "app")
	target, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Family: "pair", Container: "app", Port: port})
	if err != nil {
		t.Fatal(err)
	}
	tn, err := w.engine.Open(tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: port}})
	if err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "an error", func() bool {
		_, err := tn.State()
		silent, ok := errors.AsType[*aws.NotConnectedError](err)
		return ok && silent.Target.Container == "app" && len(silent.Tried) == 0
	})
	for _, s := range w.account.Sessions() {
		t.Errorf("a session leads to %s", s.Target)
	}
}

func TestTheNextTaskComesAfterAllContainers(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	twoContainers(w, "app", "xray")
	target, err := w.client.Lookup(t.Context(), aws.Query{Cluster: "c", Family: "pair", Port: port})
	if err != nil {
		t.Fatal(err)
	}
	tasks := []string{}
	found, _ := w.client.Discover(t.Context())
	for _, task := range found.Clusters[0].Tasks {
		if task.Family == "pair" && task.ID != target.Task {
			tasks = append(tasks, task.ID)
		}
	}
	if len(tasks) != 1 {
		t.Fatalf("got %v, want one other task", tasks)
	}
	if err := w.account.SetAgentOf(tasks[0], "xray", emulator.Agent{}); err != nil {
		t.Fatal(err)
	}
	tn := w.open(tunnel.Spec{Target: target})
	if got := tn.Link().Target; got.Task != tasks[0] || got.Container != "xray" {
		t.Errorf("it leads to %v, want xray of task %s", got, tasks[0])
	}
}

// A task that no service started is left only when it ends, whatever newer one of its family there is.
func TestAFamilyIsFollowed(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	twoContainers(w)
	tn := w.open(tunnel.Spec{Target: aws.Target{Cluster: "c", Family: "pair", AnyContainer: true, Port: port}})
	first := tn.Link().Target
	twoContainers(w)
	for _, s := range w.account.Sessions() {
		w.account.KillSession(s.ID, "")
	}
	need.Eventually(t, "another session", func() bool { return len(w.account.Sessions()) == 1 && tn.Stats().Lanes == 1 })
	if got := tn.Link().Target; got.Task != first.Task {
		t.Errorf("it leads to %v, want %v as long as that runs", got, first)
	}
	if err := w.account.StopTask(first.Task, "test"); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the next task", func() bool {
		state, _ := tn.State()
		return state == tunnel.Open && tn.Link().Target.Task != first.Task
	})
	mustExchange(t, w.dial(tn), []byte("through the next"))
	if got := tn.Link().Target; got.Family != "pair" || got.Service != "" {
		t.Errorf("it leads to %v, want a task of the family", got)
	}
}
