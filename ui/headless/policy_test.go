package headless_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/headless"
)

// lacking is the module's caller policy without an action or a resource.
func lacking(missing string) aws.Policy {
	p := aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "c"})
	for i, s := range p.Statement {
		without := func(entry string) bool { return entry == missing }
		p.Statement[i].Action = slices.DeleteFunc(s.Action, without)
		p.Statement[i].Resource = slices.DeleteFunc(s.Resource, without)
	}
	p.Statement = slices.DeleteFunc(p.Statement, func(s aws.Statement) bool { return len(s.Action) == 0 || len(s.Resource) == 0 })
	return p
}

// restricted is an account whose service answers, and options of a caller who has exactly a policy.
func restricted(t *testing.T, p aws.Policy) (*emulator.Emulator, headless.Options) {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	e, _ := service(t, server.Listener.Addr().String())
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Attach("user/ci", text); err != nil {
		t.Fatal(err)
	}
	id, secret := e.User("ci")
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	o := options(client, 8080, &output{})
	o.Wait = 4 * time.Second
	return e, o
}

func TestTheLeastPolicyIsEnough(t *testing.T) {
	e, o := restricted(t, lacking(""))
	o.Wait = 20 * time.Second
	if err := ready(t, o); err != nil {
		t.Fatalf("under exactly the caller policy: %v\nremedy: %s", err, say.Remedy(err))
	}
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestOneActionShortTheRemedyNamesIt(t *testing.T) {
	const document = "arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession"
	const tasks = "arn:aws:ecs:eu-west-1:111122223333:task/c/*"
	for missing, remedy := range map[string][]string{
		"ecs:ListTasks":               {`"ecs:ListTasks"`, `"ecs:cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/c"`},
		"ecs:DescribeTasks":           {`"ecs:DescribeTasks"`, `"` + tasks + `"`},
		"ssm:StartSession":            {`"ssm:StartSession"`, document, tasks},
		document:                      {`"ssm:StartSession"`, document},
		tasks:                         {`"ssm:StartSession"`, tasks},
		"ssmmessages:OpenDataChannel": {`"ssmmessages:OpenDataChannel"`, `"arn:aws:ssm:eu-west-1:`},
	} {
		t.Run(missing, func(t *testing.T) {
			e, o := restricted(t, lacking(missing))
			err := headless.Run(t.Context(), o)
			if _, denied := errors.AsType[*aws.DeniedError](err); !denied {
				t.Fatalf("got %v, want a *aws.DeniedError", err)
			}
			for _, part := range append(remedy, `"Effect":"Allow"`) {
				if said := say.Remedy(err); !strings.Contains(said, part) {
					t.Errorf("got remedy %q, want %s in it", said, part)
				}
			}
			if left := e.Sessions(); len(left) != 0 {
				t.Errorf("%d sessions are left", len(left))
			}
		})
	}
}

// What only makes things nicer may be missing: the tunnel opens, outlives its session, and leaves nothing behind.
func TestWithoutTheRestItWorksAsWell(t *testing.T) {
	for _, missing := range []string{"ecs:ListServices", "ecs:DescribeServices", "ssm:TerminateSession", "ssm:ResumeSession"} {
		t.Run(missing, func(t *testing.T) {
			e, o := restricted(t, lacking(missing))
			o.Wait = 20 * time.Second
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			o.Ready = func(tunnels []*tunnel.Tunnel) {
				before := tunnels[0].Link().Session
				e.CloseClientLeg(1000)
				go func() {
					defer stop()
					for ctx.Err() == nil {
						conn, err := new(net.Dialer).DialContext(ctx, "tcp", tunnels[0].Addr().String())
						if err != nil {
							return
						}
						_, err = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
						if err == nil {
							_, err = conn.Read(make([]byte, 4))
						}
						_ = conn.Close()
						state, _ := tunnels[0].State()
						session := tunnels[0].Link().Session
						resumed := slices.ContainsFunc(e.Sessions(), func(s emulator.Session) bool { return s.ID == session && s.Sockets > 1 })
						if err == nil && state == tunnel.Open && (resumed || session != before) {
							return
						}
						time.Sleep(20 * time.Millisecond)
					}
				}()
			}
			if err := headless.Run(ctx, o); err != nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("got %v, context %v", err, ctx.Err())
			}
			// Where the API may not terminate, the agent ends the session, a moment after it has acknowledged that it shall.
			need.Eventually(t, "no session is left", func() bool { return len(e.Sessions()) == 0 })
		})
	}
}
