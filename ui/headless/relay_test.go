package headless_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// A relay of the task is found without a word of the user's, and told in an event and by status; where it does not answer, that is
// told, and the forward works all the same. One that is required fails the start where there is none.
func TestTheRelayIsTold(t *testing.T) {
	t.Parallel()
	task := func(relay string) emulator.Task {
		return emulator.Task{CPU: "1024", Memory: "2048", Containers: []emulator.Container{
			{Name: "web", Ports: map[uint16]string{8080: emulator.Web}},
			{Name: "culvert-relay", Ports: map[uint16]string{7300: relay}, PortNames: map[uint16]string{7300: aws.RelayName}, NonEssential: true},
		}}
	}
	for name, test := range map[string]struct {
		relay string
		mode  tunnel.RelayMode
		want  string // in an event
		not   string
	}{
		"on":     {emulator.Relay, tunnel.RelayAuto, `"relay":"on"`, `"relay":"off"`},
		"off":    {"", tunnel.RelayAuto, `"relay":"off","relay_why":"`, `"relay":"on"`},
		"not to": {emulator.Relay, tunnel.RelayNo, `"event":"ready"`, `"relay"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task(test.relay)}}}}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			id, secret := e.Credentials()
			client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
			if err != nil {
				t.Fatal(err)
			}
			out := &output{}
			o := options(client, 8080, out)
			o.Engine, o.Board = tunnel.New(tunnel.Options{Client: client, Relay: test.mode}), &headless.Board{}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			var isReady bool
			o.Ready = func([]*tunnel.Tunnel) { isReady = true }
			go func() { // until it was told
				for ctx.Err() == nil && (!strings.Contains(out.String(), test.want) || !strings.Contains(out.String(), `"event":"ready"`)) {
					time.Sleep(10 * time.Millisecond)
				}
				stop()
			}()
			err = headless.Run(ctx, o)
			if said := out.String(); err != nil || !isReady || !strings.Contains(said, test.want) || strings.Contains(said, test.not) {
				t.Errorf("ready %t, %v; want %s and not %s in\n%s", isReady, err, test.want, test.not, said)
			}
		})
	}
	t.Run("required", func(t *testing.T) {
		t.Parallel()
		_, client := serviceOf(t, emulator.Task{Containers: []emulator.Container{{Name: "web", Ports: map[uint16]string{8080: emulator.Web}}}})
		o := options(client, 8080, &output{})
		o.Engine = tunnel.New(tunnel.Options{Client: client, Relay: tunnel.RelayRequire})
		var none *aws.NoRelayError
		if err := ready(t, o); !errors.As(err, &none) || !strings.Contains(err.Error(), "--relay require") {
			t.Errorf("got %v, want that there is no relay", err)
		}
	})
}
