package screen

import (
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

// toNamed is a forward to a destination by its name.
func toNamed(t *testing.T, form string) tunnel.Forward {
	t.Helper()
	f, err := tunnel.ParseNamed(form)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// named is a world with a database that tasks are let in to, and a cache that they are not.
func named(t *testing.T, o Options) *loop {
	t.Helper()
	l, _ := worldOf(t, o, emulator.Fleet{
		VPC:      true,
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "web", Count: 2, Task: emulator.Task{Containers: []emulator.Container{{Name: "app"}}}}}}},
		Inventory: emulator.Inventory{
			Databases: []emulator.Possession{{Name: "orders-db", Engine: "postgres", Host: "orders-db.internal", Port: 5432}},
			Caches:    []emulator.Possession{{Name: "sessions", Host: "sessions.internal", Port: 6379, Closed: true}},
		},
	})
	return l
}

// What is named on the command line is opened at once, as with -L; what leads nowhere has a row that says why, and no more.
func TestADestinationThatIsNamedIsOpenedAtTheStart(t *testing.T) {
	start := func(form string) Start {
		return Start{Spec: toNamed(t, form).Spec(aws.Target{}), Probe: "tcp"}
	}
	l := named(t, Options{Start: []Start{start("0:orders-db"), start("0:sessions")}})
	l.until("Tunnels 2", "internal:5432", "● open", "✕ failed", "sessions")
	l.when("both are settled", func() bool { return len(l.a.tunnels.rows) == 2 && !l.a.tunnels.rows[0].opening })
	open, failed := l.a.tunnels.rows[0], l.a.tunnels.rows[1]
	if open.Spec.To != "orders-db" || open.Spec.Target.Service != "web" || open.Spec.Remote != (tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}) {
		t.Errorf("got %+v", open.Spec)
	}
	if _, ok := saving(failed, func(string) bool { return false }); ok {
		t.Error("a name that was not found can be saved as a forward")
	}
	l.press("t", "G")
	l.until("no way to sessions")
	l.press("e")
	l.until("what sessions means was not found")
	l.press("R")
	l.when("it was tried again", func() bool { return l.a.tunnels.rows[1].Err != nil && !l.a.tunnels.rows[1].opening })
	l.press("x")
	l.until("Tunnels 1")
}

// A saved tunnel to a name is opened by it, known while it runs, and stays one to a name when it is edited.
func TestASavedTunnelToANameIsOpenedAndStaysOne(t *testing.T) {
	b := &book{Saved: Saved{Tunnels: []SavedTunnel{{Name: "orders", Forward: toNamed(t, "0:orders-db"), Probe: "tcp"}}}}
	l := named(t, Options{Saved: b.Saved, Save: b.save})
	l.until("as user/demo")
	l.press("S")
	l.until("Saved tunnels", "0:orders-db", "– stopped")
	l.press("enter")
	l.until("● open")
	l.when("it is known as the saved one", func() bool {
		rows := l.a.tunnels.rows
		return len(rows) == 1 && b.Tunnels[0].runs(rows[0]) && rows[0].Spec.Remote.Host == "orders-db.internal"
	})
	l.press("e")
	l.until("edit orders", "through       found by itself", "to            0:orders-db")
	l.press("tab", "tab")
	for range "0:orders-db" {
		l.press("backspace")
	}
	for _, key := range "web:0" {
		l.press(string(key))
	}
	l.until("is not in 1–65535")
	l.press("backspace")
	for _, key := range "80" {
		l.press(string(key))
	}
	l.press("enter")
	l.until("saved orders")
	if is := b.changes[0].Is; is.Forward != toNamed(t, "web:80") || is.Target != (aws.Target{}) {
		t.Errorf("got %+v", is)
	}
}

func TestATunnelToAnotherNameIsNotTheSavedOne(t *testing.T) {
	s := SavedTunnel{Name: "orders", Forward: toNamed(t, "orders-db")}
	r := somewhere("127.0.0.1:5432")
	r.Spec.To, r.Spec.Remote = "orders-db", tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}
	if !s.runs(&row{reading: r}) {
		t.Error("it is not known by its name")
	}
	narrowed := s
	narrowed.Target = aws.Target{Cluster: "automation", Service: "reports"}
	if narrowed.runs(&row{reading: r}) {
		t.Error("one through another service is taken for it")
	}
	for _, to := range []string{"", "sessions"} {
		r.Spec.To = to
		if s.runs(&row{reading: r}) {
			t.Errorf("one to %q is taken for it", to)
		}
	}
}
