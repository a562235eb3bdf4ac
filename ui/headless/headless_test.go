package headless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/headless"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

// output is a writer that a test reads while the face writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	fail error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return 0, o.fail
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// service is an account with one service behind whose port 8080 a server of the test listens.
func service(t *testing.T, server string) (*emulator.Emulator, *aws.Client) {
	t.Helper()
	return serviceOf(t, emulator.Task{
		Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: server, 5432: server}}},
	})
}

func serviceOf(t *testing.T, task emulator.Task) (*emulator.Emulator, *aws.Client) {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, secret := e.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return e, client
}

// options open a forward to a port of the service.
func options(client *aws.Client, port uint16, out *output) headless.Options {
	return headless.Options{
		Client: client, Engine: tunnel.New(tunnel.Options{Client: client}),
		Forwards: []headless.Forward{{
			Query: aws.Query{Cluster: "c", Service: "s", Port: port},
			Spec:  tunnel.Spec{Remote: tunnel.Endpoint{Port: port}},
		}},
		Wait: 20 * time.Second, Out: out, Err: &output{}, JSON: true,
	}
}

// ready runs the face until it is ready, and stops it then.
func ready(t *testing.T, o headless.Options) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o.Ready = func([]*tunnel.Tunnel) { stop() }
	return headless.Run(ctx, o)
}

// proxyURL is that of the ready event.
func proxyURL(t *testing.T, out *output) string {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var e struct {
			Event string `json:"event"`
			Proxy string `json:"proxy_url"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Event == "ready" {
			return e.Proxy
		}
	}
	t.Fatalf("no ready event in %s", out)
	return ""
}

func TestAnOrdinaryServerOnAProxysPortIsNoProxy(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		proxy  bool
	}{
		"server": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, false},
		"squid": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Squid-Error", "ERR_INVALID_URL 0")
			w.WriteHeader(http.StatusBadRequest)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			_, client := service(t, server.Listener.Addr().String())
			out := &output{}
			if err := ready(t, options(client, 8080, out)); err != nil {
				t.Fatal(err)
			}
			if got := proxyURL(t, out); (got != "") != c.proxy {
				t.Errorf("got proxy_url %q, want one: %t", got, c.proxy)
			}
		})
	}
}

// proofOf is what the ready event says was proved.
func proofOf(t *testing.T, out *output) (proof string, connect, answer *int) {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var e struct {
			Event   string `json:"event"`
			Proof   string `json:"proof"`
			Connect *int   `json:"connect_ms"`
			Answer  *int   `json:"answer_ms"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Event == "ready" {
			return e.Proof, e.Connect, e.Answer
		}
	}
	t.Fatalf("no ready event in %s", out)
	return "", nil, nil
}

func TestReadySaysWhatWasProved(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	silent := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	for name, c := range map[string]struct {
		server           string
		port             uint16
		probe            headless.ProbeKind
		proof            string
		connects, answer bool
	}{
		"a silent server":              {silent, 5432, headless.ProbeAuto, "tcp", true, false},
		"a database":                   {need.Server(t, postgres), 5432, headless.ProbeAuto, "postgres", true, true},
		"a silent server, by name":     {silent, 8080, headless.ProbeTCP, "tcp", true, false},
		"a web server":                 {web.Listener.Addr().String(), 8080, headless.ProbeAuto, "http", true, true},
		"nothing that anybody asks of": {"", 5432, headless.ProbeNone, "none", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, client := service(t, c.server)
			out := &output{}
			o := options(client, c.port, out)
			o.Probe.Kind = c.probe
			if err := ready(t, o); err != nil {
				t.Fatal(err)
			}
			proof, connect, answer := proofOf(t, out)
			if proof != c.proof || (connect != nil) != c.connects || (answer != nil) != c.answer {
				t.Errorf("got %s in\n%s", proof, out)
			}
			if left := e.Sessions(); len(left) != 0 {
				t.Errorf("%d sessions are left", len(left))
			}
		})
	}
}

// postgres is a database that has no TLS.
func postgres(c *net.TCPConn) {
	if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
		_, _ = io.WriteString(c, "N")
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestWhatSpeaksAnotherProtocolIsNeverReady(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, probe := range map[string]headless.Probe{
		"as the port says": {},
		"as it is named":   {Kind: headless.ProbeProtocol, Protocol: doctor.Postgres},
		"as a proxy":       {Kind: headless.ProbeProxy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := service(t, web.Listener.Addr().String())
			out := &output{}
			o := options(client, 5432, out)
			o.Probe, o.Wait = probe, 8*time.Second
			err := ready(t, o)
			if _, ok := errors.AsType[*headless.UnreadyError](err); !ok || strings.Contains(out.String(), `"ready"`) {
				t.Fatalf("got %v, want an *UnreadyError and no word of ready in\n%s", err, out)
			}
			if text := err.Error(); !strings.Contains(text, "accepts, but") || say.Remedy(err) == "" {
				t.Errorf("got %s (%s)", text, say.Remedy(err))
			}
		})
	}
}

func TestWhatSwallowsConnectionsIsNeverReady(t *testing.T) {
	t.Parallel()
	e, client := service(t, need.Server(t, need.Echo))
	e.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
	out := &output{}
	o := options(client, 5432, out)
	o.Wait = 12 * time.Second
	err := ready(t, o)
	if _, ok := errors.AsType[*headless.UnreadyError](err); !ok {
		t.Fatalf("got %v, want an *UnreadyError", err)
	}
	if _, ok := errors.AsType[*tunnel.UnansweredError](err); !ok || strings.Contains(out.String(), `"ready"`) {
		t.Errorf("got %v, want an *UnansweredError in it and no word of ready in\n%s", err, out)
	}
}

func TestWhatRefusesConnectionsIsNeverReady(t *testing.T) {
	_, client := service(t, "")
	o := options(client, 5432, &output{})
	o.Wait = 2 * time.Second
	err := ready(t, o)
	unready, ok := errors.AsType[*headless.UnreadyError](err)
	if !ok {
		t.Fatalf("got %v, want an *UnreadyError", err)
	}
	if _, ok := errors.AsType[*tunnel.RefusedError](unready); !ok || say.Remedy(err) == "" {
		t.Errorf("got %v (%s), want a *RefusedError with its remedy in it", err, say.Remedy(err))
	}
}

func TestAReaderThatGoesAwayEndsTheRunAndItsSessions(t *testing.T) {
	e, client := service(t, "")
	gone := errors.New("broken pipe")
	err := headless.Run(t.Context(), options(client, 5432, &output{fail: gone}))
	if !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestAStdoutThatNobodyReadsDoesNotHoldUpTheEnd(t *testing.T) {
	e, client := service(t, need.Server(t, need.Echo))
	unread, out := io.Pipe()
	defer unread.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := options(client, 5432, nil)
	o.Out, o.Ready = out, func([]*tunnel.Tunnel) { stop() }
	ended := make(chan error, 1)
	go func() { ended <- headless.Run(ctx, o) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("got %v, want a healthy end", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for a reader")
	}
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

func TestOneTargetThatIsMissingStopsAll(t *testing.T) {
	_, client := service(t, "")
	out := &output{}
	o := options(client, 5432, out)
	o.Forwards = append(o.Forwards, headless.Forward{
		Query: aws.Query{Cluster: "c", Service: "t", Port: 1}, Spec: tunnel.Spec{Remote: tunnel.Endpoint{Port: 1}},
	})
	err := headless.Run(t.Context(), o)
	if _, ok := errors.AsType[*aws.NotFoundError](err); !ok {
		t.Errorf("got %v, want a *NotFoundError", err)
	}
	if out.String() != "" {
		t.Errorf("printed %s, want nothing", out)
	}
}

// A refusal does not pass by itself: it ends the run long before the time is over. What may pass is waited for.
func TestTheSameRefusalEndsTheRunBeforeTheTimeIsOver(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	_, refusing := service(t, "")
	old, without := service(t, "")
	old.Fault(func(f *emulator.Faults) { f.AgentVersion = "3.0.196.0" })
	_, speaking := service(t, web.Listener.Addr().String())
	for name, c := range map[string]struct {
		client *aws.Client
		probe  headless.Probe
		port   uint16
	}{
		"nothing listens":  {client: refusing, port: 5432},
		"by an old agent":  {client: without, port: 5432},
		"another protocol": {client: speaking, port: 5432},
		"no proxy":         {client: speaking, probe: headless.Probe{Kind: headless.ProbeProxy}, port: 8080},
		"the URL is not":   {client: speaking, probe: headless.Probe{Kind: headless.ProbeURL, URL: &url.URL{Scheme: "http", Host: "x.internal", Path: "/"}}, port: 8080},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting := &output{}
			o := options(c.client, c.port, &output{})
			o.Probe, o.Patience, o.Err, o.Wait = c.probe, 1200*time.Millisecond, waiting, time.Minute
			began := time.Now()
			err := ready(t, o)
			var refusal *headless.RefusalError
			if !errors.As(err, &refusal) || say.Remedy(err) == "" {
				t.Fatalf("got %v (%s), want a *RefusalError with a remedy", err, say.Remedy(err))
			}
			if took := time.Since(began); took < o.Patience || took > o.Wait/2 {
				t.Errorf("gave up after %s, want after %s", took, o.Patience)
			}
			if n := strings.Count(waiting.String(), "waiting: "); n != 1 {
				t.Errorf("the cause is printed %d times, want once:\n%s", n, waiting)
			}
		})
	}
}

func TestAServerMayTakeAMinuteToListen(t *testing.T) {
	t.Parallel()
	const left = 3 * time.Second
	_, client := serviceOf(t, emulator.Task{
		Age: time.Minute - left, Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: ""}}},
	})
	o := options(client, 8080, &output{})
	o.Patience, o.Wait = 200*time.Millisecond, time.Minute
	began := time.Now()
	err := ready(t, o)
	if _, ok := errors.AsType[*headless.RefusalError](err); !ok {
		t.Fatalf("got %v, want a *RefusalError", err)
	}
	if took := time.Since(began); took < left-time.Second {
		t.Errorf("gave up after %s on a container that is not a minute old for another %s", took, left)
	}
}
