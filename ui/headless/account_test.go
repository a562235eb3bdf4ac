package headless_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// apart are forwards in two accounts, of which the second cannot be reached before late has passed.
func apart(t *testing.T, late time.Duration, out *output) headless.Options {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, client := service(t, server.Listener.Addr().String())
	o := options(client, 8080, out)
	first := o.Forwards[0]
	first.Account = &headless.Account{Connect: func(context.Context) (*aws.Client, error) { return client, nil }}
	second := first
	second.Profile, second.Spec.Local = "prod", first.Spec.Local
	second.Account = &headless.Account{Connect: func(ctx context.Context) (*aws.Client, error) {
		select {
		case <-time.After(late):
		case <-ctx.Done():
		}
		return nil, &aws.NoRegionError{Profile: "prod"}
	}}
	o.Client, o.Forwards = nil, []headless.Forward{second, first}
	return o
}

// What waits for the tunnels hears of those that are there, once, whichever account is the slower one.
func TestReadyIsSaidWhenNothingIsWaitedForAnyMore(t *testing.T) {
	for _, late := range []time.Duration{0, 300 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			out := &output{}
			o := apart(t, late, out)
			ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
			defer stop()
			times := 0
			o.Ready = func(open []*tunnel.Tunnel) {
				times++
				if len(open) != 1 || open[0].ID() != 2 {
					t.Errorf("%d tunnels, want number 2 alone", len(open))
				}
				stop()
			}
			if err := headless.Run(ctx, o); err != nil || times != 1 {
				t.Errorf("got %v, and ready said %d times, want once", err, times)
			}
			var failed struct {
				Tunnel  int    `json:"tunnel"`
				Profile string `json:"profile"`
				Error   string `json:"error"`
				Remedy  string `json:"remedy"`
			}
			for line := range strings.Lines(out.String()) {
				if !strings.Contains(line, `"state":"failed"`) {
					continue
				}
				if err := json.Unmarshal([]byte(line), &failed); err != nil {
					t.Fatal(err)
				}
			}
			if failed.Tunnel != 1 || failed.Profile != "prod" || failed.Error == "" || failed.Remedy == "" {
				t.Errorf("got %+v, want tunnel 1 failed with its profile and remedy", failed)
			}
		})
	}
}

func TestWithoutAnAccountThatWorksNothingStays(t *testing.T) {
	o := apart(t, 0, &output{})
	broken := errors.New("over")
	o.Forwards[1].Account = &headless.Account{Connect: func(context.Context) (*aws.Client, error) { return nil, broken }}
	err := headless.Run(t.Context(), o)
	if _, region := errors.AsType[*aws.NoRegionError](err); !region && !errors.Is(err, broken) {
		t.Errorf("got %v, want what was wrong with the accounts", err)
	}
}
