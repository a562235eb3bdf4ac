package doctor_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// refusing is an address on which nobody listens, whatever other tests do meanwhile.
const refusing = "127.0.0.1:1"

func TestC6ContainerHasNotStarted(t *testing.T) {
	t.Parallel()
	newClinic(t, with(func(task *emulator.Task) { task.Containers[0].NotStarted = true })).finds("agent", "C6", "has not started", "wait")
}

func TestD1TaskIsNotInThePolicy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Resource: "arn:aws:ecs:*"}}
	})
	c.finds("session", "D1", "task/c/", `"arn:aws:ecs:eu-west-1:111122223333:task/c/*"`)
}

// The recipe that culvert comes from forgot the document.
func TestD1DocumentIsNotInThePolicy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Resource: "arn:aws:ssm:*"}}
	})
	c.finds("session", "D1", "on arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession", `"arn:aws:ssm:eu-west-1::document/AWS-StartPortForwardingSession"`)
}

func TestD2AgentIsNotRegistered(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.Unregistered = true })
	c.options.Patience = 1500 * time.Millisecond
	c.finds("session", "D2", "TargetNotConnected", "route to ssmmessages.eu-west-1")
}

func TestD2ThatPassesIsNoFailure(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.Unregistered = true })
	c.options.Patience = 15 * time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		for end := time.Now().Add(10 * time.Second); c.account.Calls("StartSession") == 0 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond) // not a test's wait: the other side's clock
		}
		c.account.Fault(func(f *emulator.Faults) { f.Unregistered = false })
	}()
	if first := c.examine().First(); first != nil {
		t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
	}
	<-done
}

func TestD3NoSuchDocument(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.NoDocuments = []string{"AWS-StartPortForwardingSession"} })
	c.finds("session", "D3", "no document AWS-StartPortForwardingSession", "aws ssm describe-document")
}

func TestD4SessionManagerIsThrottledOrIll(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, kind := range map[string]emulator.APIFaultKind{"throttled": emulator.Throttle, "ill": emulator.ServerError} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_MAX_ATTEMPTS", "1")
			bare(t)
			c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
				f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: kind}}
			})
			c.options.Patience = time.Second
			key, secret := c.account.Credentials()
			t.Setenv("AWS_ACCESS_KEY_ID", key)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			c.connect(aws.Options{Region: "eu-west-1", Endpoint: c.account.URL()})
			c.finds("session", "D4", "try again")
		})
	}
}

func TestE1StreamHostCannotBeReached(t *testing.T) {
	t.Parallel()
	gone := refusing
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.StreamHost = gone })
	c.finds("channel", "E1", gone, "another host than the API's")
}

func TestE2ChannelIsNotInThePolicy(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssmmessages:OpenDataChannel"}}
	})
	c.finds("channel", "E2", "not allowed: ssmmessages:OpenDataChannel", `"arn:aws:ssm:eu-west-1:111122223333:session/*"`)
}

func TestE2SomethingBetweenDoesNotPassWebsockets(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Upgrade Required", http.StatusUpgradeRequired)
	}))
	defer server.Close()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.StreamHost = server.Listener.Addr().String() })
	c.finds("channel", "E2", "HTTP status 426", "does not pass websockets")
}

func TestE3NoHandshake(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the engine gives an agent 18 s")
	}
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.AgentStart = time.Hour })
	c.finds("handshake", "E3", "no handshake within", "limit of sessions")
}

func TestE4EncryptionIsNotAllowed(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy()).fault(func(f *emulator.Faults) {
		f.KMS = true
		f.API = []emulator.APIFault{{Action: "kms:GenerateDataKey"}}
	})
	c.finds("handshake", "E4", "kms:GenerateDataKey", `"Action":["kms:GenerateDataKey"]`)
}

// What the agent says as it closes a session that nobody has seen open: the cause is in the text alone.
func TestE5E6AgentSaysWhyItCloses(t *testing.T) {
	t.Parallel()
	const channel = "----------ERROR------- Setting up data channel with id x failed: CreateDataChannel failed with error: "
	for name, row := range map[string]struct{ said, check, cause, remedy string }{
		"denied":          {channel + "AccessDeniedException", "handshake", "E5", "the task role lacks ssmmessages:CreateDataChannel"},
		"no resolver":     {channel + "dial tcp: lookup ssmmessages.eu-west-1.amazonaws.com: no such host", "handshake", "E5", "does not reach ssmmessages"},
		"nothing listens": {"Unable to connect to specified port: dial tcp 127.0.0.1:3128: connect: connection refused", "port", "E6", "listens on localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, healthy()).fault(func(f *emulator.Faults) { f.AgentStart = time.Hour })
			done := make(chan struct{})
			go func() {
				defer close(done)
				for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
					for _, s := range c.account.Sessions() {
						if s.Client && c.account.KillSession(s.ID, row.said) {
							return
						}
					}
				}
			}()
			c.finds(row.check, row.cause, row.said, row.remedy)
			<-done
		})
	}
}

func TestE6NothingListens(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"mux": "", "basic": "3.0.150.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t, behind("")).fault(func(f *emulator.Faults) {
				if version != "" {
					f.AgentVersion = version
				}
			})
			c.finds("port", "E6", "listens on localhost", "the container's log")
		})
	}
}

func TestE7HangsUpAtOnce(t *testing.T) {
	t.Parallel()
	c := newClinic(t, behind(need.Server(t, func(*net.TCPConn) {})))
	c.finds("port", "E7", "closes it at once", "its log")
}

// A destination behind the task that has no proxy.
func TestRemoteHosts(t *testing.T) {
	t.Parallel()
	fleet := healthy()
	fleet.Hosts = map[string]string{"gone.internal:5432": refusing}
	remote := func(t *testing.T, host string, port uint16) *clinic {
		t.Helper()
		c := newClinic(t, fleet)
		c.options.Query.Port = 0
		c.options.Spec = tunnel.Spec{Remote: tunnel.Endpoint{Host: host, Port: port}}
		return c
	}
	t.Run("answers", func(t *testing.T) {
		t.Parallel()
		if first := remote(t, "orders-db.internal", 5432).examine().First(); first != nil {
			t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		remote(t, "gone.internal", 5432).finds("port", "F7", "cannot connect to gone.internal:5432", "security group")
	})
	t.Run("does not resolve", func(t *testing.T) {
		t.Parallel()
		remote(t, "nowhere.internal", 5432).finds("port", "F6", "nowhere.internal", "VPC resolves")
	})
	t.Run("drops", func(t *testing.T) {
		t.Parallel()
		c := remote(t, "orders-db.internal", 5432).fault(func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
		c.options.Patience = time.Second
		c.finds("port", "F8", "orders-db.internal:5432 gets no answer", "security group")
	})
	t.Run("as a probe", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, fleet, "tcp://gone.internal:5432")
		c.finds("probe-1", "F7", "gone.internal:5432")
	})
	t.Run("as a probe that wants TLS", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, fleet, "tls://orders.internal:80")
		c.finds("probe-1", "F12", "plain HTTP")
	})
	t.Run("as a probe with a private authority", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, fleet, "tls://billing.internal")
		c.finds("probe-1", "F14", "culvert demo private CA", "NODE_EXTRA_CA_CERTS")
	})
}

// The doctor tells of its own sessions that it could not terminate: here neither the API nor the agent takes the order.
func TestSessionsOfItsOwnThatAreLeftAreTold(t *testing.T) {
	t.Parallel()
	c := newClinic(t, healthy(), "tcp://orders-db.internal:5432").fault(func(f *emulator.Faults) {
		f.AgentStart = time.Hour
		f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Deny}}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // no session is ever open
	defer cancel()
	report := doctor.Run(ctx, c.options, func(doctor.Result) {})
	left := c.account.Sessions()
	if len(left) == 0 || len(report.Left) != len(left) {
		t.Errorf("told of %v, left are %+v", report.Left, left)
	}
	for _, one := range report.Left {
		if !slices.ContainsFunc(left, func(s emulator.Session) bool { return s.ID == one.Session }) {
			t.Errorf("told of %s, which is not left", one.Session)
		}
	}
}
