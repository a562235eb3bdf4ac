// Package emulator is an AWS account inside this process: ECS, SSM, STS, SSO's portal and KMS over real HTTP, and the
// Session Manager data channel over real websockets, all on loopback. Programs use it through its URL, as they use AWS.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How long Close lets calls that are under way finish.
const drainTime = 500 * time.Millisecond

// Options say which account to pretend to have. The zero value is an empty account on a free loopback port.
type Options struct {
	Fleet  Fleet
	Listen string           // loopback address with port; empty is 127.0.0.1 and a free port
	Seed   uint64           // of every made-up id and of Life; the same seed makes the same account
	Pace   time.Duration    // how long a task takes from one status to the next; 0 is 100 ms
	Life   time.Duration    // mean time between two things that happen by themselves, see Fleet; 0 is a still account
	Now    func() time.Time // the account's clock, for signatures and expiry; nil is time.Now
	Log    *slog.Logger     // nil discards
	// Network is what the account listens on and what its tasks connect through; nil is the system's. The servers of Fleet.VPC
	// are always on the system's.
	Network Network

	// Trust decides, as a role's trust policy does, whether the bearer of a token may assume the role; an error says no.
	// Without it every role trusts the tokens of GitHub that have the audience sts.amazonaws.com.
	Trust func(roleARN string, claims Claims) error
	// Providers are the identity providers that the account has beside GitHub: the audience of each by its issuer, an https URL.
	// Their tokens are made by IDToken.
	Providers map[string]string
}

// Network opens listeners as net.ListenConfig does, and connections as net.Dialer does.
type Network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// system is the network of the operating system.
type system struct {
	net.ListenConfig
	net.Dialer
}

// Emulator is a running account. Its methods are safe for concurrent use.
type Emulator struct {
	data        dataPath
	fleet       *account
	possessions Inventory
	keys        *keyring
	policies    policies
	rates       rates
	subnet      Subnet
	pages       *pager
	clock       *schedule
	vpc         *vpc
	github      *github
	portal      string // the access token that SSO's portal takes
	codes       codes  // one-time codes that were taken
	trust       func(roleARN string, claims Claims) error
	providers   map[string]string // audience by issuer
	now         func() time.Time
	log         *slog.Logger

	network  Network
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
	over     context.Context //nolint:containedctx // the account's life
	stop     context.CancelFunc
	closing  sync.Once

	mu    sync.Mutex
	calls map[string]int
}

// Start opens the account; the caller closes it.
func Start(o Options) (*Emulator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pace == 0 {
		o.Pace = 100 * time.Millisecond
	}
	if o.Network == nil {
		o.Network = &system{}
	}
	listener, err := listen(o.Network, o.Listen)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &Emulator{
		keys: newKeyring(), pages: newPager(), github: newGitHub(o.Now), portal: "aoa" + secret(60), subnet: o.Fleet.Subnet, possessions: o.Fleet.Inventory, trust: o.Trust, providers: o.Providers, now: o.Now, log: o.Log,
		network: o.Network, listener: listener, over: ctx, stop: stop, calls: map[string]int{},
	}
	e.clock = newSchedule(ctx)
	if e.fleet, err = newAccount(e, o); err != nil {
		e.abandon()
		return nil, err
	}
	if e.vpc, err = startVPC(o.Fleet, func(user, token string) error { return e.databaseLogin(databaseHost, databasePort, user, token) }); err != nil {
		e.abandon()
		return nil, err
	}
	e.keys.add(key{ID: staticKeyID, Secret: staticSecret, caller: e.fleet.user("demo")})
	e.data.start(e)
	e.fleet.play(o.Fleet.Plan)
	e.fleet.live(o.Life, rand.New(rand.NewPCG(o.Seed, 2))) //nolint:gosec // a repeatable story, not a secret
	e.server = &http.Server{Handler: http.HandlerFunc(e.serve), ReadHeaderTimeout: 30 * time.Second}
	e.serving.Go(func() {
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("emulator stopped serving", "error", err)
		}
	})
	return e, nil
}

// listen refuses what is not loopback: the account has no secrets worth the name.
func listen(network Network, address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("parse emulator address %q: %w", address, err)
	}
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("listen on %s: the emulator serves loopback addresses only", address)
	}
	listener, err := network.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open emulator: %w", err)
	}
	return listener, nil
}

// abandon undoes a Start that went wrong half way.
func (e *Emulator) abandon() {
	e.stop()
	e.clock.close()
	_ = e.listener.Close()
}

// Close ends every session and connection and waits for what the emulator started. It may be called more than once.
func (e *Emulator) Close() {
	e.closing.Do(func() {
		e.stop()
		e.clock.close()
		e.data.close()
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if err := e.server.Shutdown(ctx); err != nil {
			_ = e.server.Close() // some client is still in the middle of a call
		}
		e.serving.Wait()
		e.vpc.close()
	})
}

// URL is what clients take as AWS_ENDPOINT_URL.
func (e *Emulator) URL() string { return "http://" + e.listener.Addr().String() }

// Credentials are an access key that may do everything and never expires.
func (e *Emulator) Credentials() (accessKey, secret string) { return staticKeyID, staticSecret }

// Env is what a client's environment needs to use this account, as NAME=value.
func (e *Emulator) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + e.URL(),
		"AWS_ACCESS_KEY_ID=" + staticKeyID,
		"AWS_SECRET_ACCESS_KEY=" + staticSecret,
		"AWS_REGION=" + e.fleet.region,
		"AWS_DEFAULT_REGION=" + e.fleet.region,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Calls counts the requests for an action so far ("ListTasks"), those that were refused included.
func (e *Emulator) Calls(action string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[action]
}

// AllCalls are the counts of Calls, of every action that was asked for.
func (e *Emulator) AllCalls() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.calls)
}

func (e *Emulator) count(action string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls[action]++
}

// CACertificate is the certificate, in PEM, of the authority that signed the private network's own; nil without Fleet.VPC.
func (e *Emulator) CACertificate() []byte { return e.vpc.certificate() }

// resolve is the private DNS of the account's network: the loopback address that stands for host and port. A name
// nobody has is a *net.DNSError.
func (e *Emulator) resolve(host string, port uint16) (string, error) {
	return e.vpc.resolve(host, port)
}

// region is where the emulator pretends to be.
func (e *Emulator) region() string { return e.fleet.region }
