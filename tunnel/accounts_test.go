package tunnel_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// secondAccount is a client of another account with the same names in it.
func secondAccount(t *testing.T, server string) (*emulator.Emulator, *aws.Client) {
	t.Helper()
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{port: server}}}}
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{
		Account: "999922223333", Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	key, secret := account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return account, client
}

func TestTunnelsOfSeveralAccountsShareAnEngine(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Journal: openJournal(t, dir)}, nil)
	other, client := secondAccount(t, need.Server(t, need.Echo))
	here, there := w.open(tunnel.Spec{}), w.open(tunnel.Spec{Client: client})
	if !alive(w.account, here.Link().Session) || !alive(other, there.Link().Session) {
		t.Errorf("sessions %+v here, %+v there; want one in each account", w.account.Sessions(), other.Sessions())
	}
	for _, tn := range []*tunnel.Tunnel{here, there} {
		mustExchange(t, w.dial(tn), random(100_000, 1))
	}
	need.Eventually(t, "the account of each session in the journal", func() bool {
		all := noted(t, dir)
		return all[here.Link().Session].Account == "111122223333" && all[there.Link().Session].Account == "999922223333"
	})
	if l := noted(t, dir)[there.Link().Session]; l.Endpoint != other.URL() {
		t.Errorf("noted %+v, want the endpoint of its own client", l)
	}

	if again := w.open(there.Spec()); again.ID() == there.ID() || again.Spec().Client != client {
		t.Errorf("opened anew it is tunnel %d, of %p; want another number and the same account", again.ID(), again.Spec().Client)
	}

	// What ends in one account does not touch the other's, and another lane comes from the same one.
	other.ExpireCredentials(first(other.Credentials()))
	other.CloseClientLeg(1000)
	w.events.next(t, "trouble there", func(e tunnel.Event) bool { return e.Tunnel == there.ID() && e.Err != nil })
	mustExchange(t, w.dial(here), random(100_000, 2))
	other.RenewCredentials(first(other.Credentials()), time.Hour)
	w.events.await(t, there, tunnel.Open)
	if err := w.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := other.Sessions(); len(left) != 0 {
		t.Errorf("sessions are left: %+v", left)
	}
}

func first(a, _ string) string { return a }

// A listener of ours is nobody's proxy: neither of the client whose tunnel it is, nor of another account's.
func TestNoAccountIsReachedThroughAnothersTunnel(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	t.Setenv("HTTPS_PROXY", "http://"+tn.Addr().String())
	t.Setenv("NO_PROXY", "")
	_, client := secondAccount(t, need.Server(t, need.Echo))
	w.open(tunnel.Spec{Client: client})
	for _, c := range []*aws.Client{w.client, client} { // the first read the environment before
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://ecs.eu-west-1.amazonaws.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if proxy, err := c.Proxy(r); proxy != nil || err != nil {
			t.Errorf("got %v, %v; want the way without a proxy", proxy, err)
		}
	}
}

func TestASessionThatCannotBeTerminatedIsTold(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	w.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Deny}}
	})
	w.account.FreezeClientLeg(session) // else its agent would hear of the end
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if left := w.engine.Unended(); len(left) != 1 || left[0].Session != session {
		t.Errorf("unended %v, want session %s", left, session)
	}
	w.account.Fault(func(f *emulator.Faults) { f.API = nil })
	if err := w.client.TerminateSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
}
