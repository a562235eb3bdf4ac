package tunnel_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/memnet"
	"culvert/tunnel"
)

// onWarning is a log that has something done at the first warning of a text.
type onWarning struct {
	slog.Handler

	text string
	do   func()
}

func (o *onWarning) Enabled(context.Context, slog.Level) bool { return true }

func (o *onWarning) WithAttrs([]slog.Attr) slog.Handler { return o }

func (o *onWarning) Handle(_ context.Context, r slog.Record) error {
	if r.Message == o.text {
		o.do()
	}
	return nil
}

// A session that its tunnel could not terminate as the engine closed is tried once more before Close returns: by then seconds may have
// gone by, in which the API has come to answer. Where it has not, the session is told of as left, and stays in the journal.
func TestASessionThatATunnelLeavesAtTheEndIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"the API answers again": true, "the API is still out": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var net memnet.Network
				account, err := emulator.Start(emulator.Options{Network: &net, Pace: time.Millisecond, Fleet: emulator.Fleet{
					Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: emulator.Task{
						Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{port: "127.0.0.1:1"}}},
					}}}}},
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer account.Close()
				account.Fault(func(f *emulator.Faults) {
					f.AgentStart = time.Hour // so that it cannot be told of the end
					f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Deny}}
				})
				log := slog.New(&onWarning{Handler: slog.DiscardHandler, text: "session not terminated by the API", do: func() {
					if answers {
						account.Fault(func(f *emulator.Faults) { f.API = nil })
					}
				}})
				key, secret := account.Credentials()
				client, err := aws.Connect(t.Context(), aws.Options{
					Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}, DialContext: net.DialContext,
				})
				if err != nil {
					t.Fatal(err)
				}
				journal, err := tunnel.OpenJournal(dir, log)
				if err != nil {
					t.Fatal(err)
				}
				e := tunnel.New(tunnel.Options{Client: client, Journal: journal, Listen: net.Listen, Log: log})
				if _, err := e.Open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Remote: tunnel.Endpoint{Port: port}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if n := len(account.Sessions()); n != 1 {
					t.Fatalf("%d sessions, want one", n)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if err := e.Close(ctx); err != nil {
					t.Fatal(err)
				}
				left, noted := 1, 1
				if answers {
					left, noted = 0, 0
				}
				files, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				if n, told := len(account.Sessions()), len(e.Unended()); n != left || told != left || len(files) != noted {
					t.Errorf("%d sessions are left, %d are told of, %d journals; want %d", n, told, len(files), left)
				}
				if n := account.Calls("TerminateSession"); n != 2 {
					t.Errorf("TerminateSession was called %d times, want twice", n)
				}
			})
		})
	}
}
