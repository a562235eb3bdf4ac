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

// drainTime is how long Close lets calls that are under way finish.
const drainTime = 500 * time.Millisecond

// Options say what the emulated account is like. The zero value is an empty account on a free loopback port.
type Options struct {
	Fleet  Fleet
	Listen string           // loopback address with port; empty for 127.0.0.1 and a free port
	Seed   uint64           // for all made-up ids and for Life; the same seed makes the same account
	Pace   time.Duration    // how long a task takes from one status to the next; 0 is 100 ms
	Life   time.Duration    // mean time between two things that happen by themselves, see Fleet; 0 when nothing does
	Now    func() time.Time // the account's clock, for signatures and expiry; nil for time.Now
	Log    *slog.Logger     // nil discards
	// Network is what the account listens on and what its tasks connect through; nil for the system's. The servers of Fleet.VPC
	// are always on the system's network.
	Network Network

	// Trust decides, as a role's trust policy does, whether whoever has a token with these claims may assume the role; an error
	// refuses it. When it is nil every role trusts GitHub's tokens with the audience sts.amazonaws.com.
	Trust func(roleARN string, claims Claims) error
	// Providers are the identity providers of the account besides GitHub: for each issuer, an https URL, the audience that is
	// accepted. IDToken makes their tokens.
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
	codes       codes  // one-time codes that were used
	trust       func(roleARN string, claims Claims) error
	providers   map[string]string // audience by issuer
	now         func() time.Time
	log         *slog.Logger

	network  Network
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
	over     context.Context //nolint:containedctx // ended by stop
	stop     context.CancelFunc
	closing  sync.Once

	mu    sync.Mutex
	calls map[string]int
}

// Start starts the account. The caller has to close it.
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

// listen refuses an address that is not loopback: nothing protects the account.
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

// abandon undoes a Start that has failed half way.
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
			_ = e.server.Close() // a client is still in the middle of a call
		}
		e.serving.Wait()
		e.vpc.close()
	})
}

// URL is what clients take as AWS_ENDPOINT_URL.
func (e *Emulator) URL() string { return "http://" + e.listener.Addr().String() }

// Credentials are an access key that is allowed everything and does not expire.
func (e *Emulator) Credentials() (accessKey, secret string) { return staticKeyID, staticSecret }

// Env are the environment variables that a client needs to use this account, as NAME=value.
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

// Calls counts the requests so far for an action ("ListTasks"), including those that were refused.
func (e *Emulator) Calls(action string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[action]
}

// AllCalls are the counts of all actions that were requested.
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

// CACertificate is the certificate (PEM) of the authority that has signed those of the private network; nil without Fleet.VPC.
func (e *Emulator) CACertificate() []byte { return e.vpc.certificate() }

// resolve is the private DNS of the account's network. It returns the loopback address that stands for host and port, or a
// *net.DNSError for a name that does not exist.
func (e *Emulator) resolve(host string, port uint16) (string, error) {
	return e.vpc.resolve(host, port)
}

// region is the region of the emulated account.
func (e *Emulator) region() string { return e.fleet.region }
