package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
	"culvert/internal/trust"
	"culvert/tunnel"
)

// account is the AWS account that a command works on: the user's, or the embedded one.
type account struct {
	client  *aws.Client
	log     *slog.Logger
	demo    *demoAccount // nil on a real account
	begun   time.Time    // when --wait began; after the user had been asked for what a role wants
	journal *tunnel.Journal

	mu     sync.Mutex
	closes []func()
	sides  []context.CancelFunc // of what goes on beside
}

// demoRegion is where the demo account lives.
const demoRegion = "eu-west-1"

// connect opens the log and the account that the shared flags name, within --wait. The caller closes it.
func (a *app) connect(ctx context.Context) (*account, error) {
	acc := &account{}
	if err := acc.open(ctx, a); err != nil {
		acc.close()
		return nil, a.late(ctx, err)
	}
	return acc, nil
}

// late says of an error that --wait has ended what was done under ctx, if it did.
func (a *app) late(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &lateError{within: a.shared.wait, err: err}
	}
	return err
}

func (acc *account) open(ctx context.Context, a *app) error {
	options, err := acc.prepare(a) //nolint:contextcheck // the demo lives until it is closed
	if err != nil {
		return err
	}
	acc.client, options, err = a.signIn(ctx, options)
	acc.begun = time.Now()
	if err != nil || acc.client != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.shared.wait)
	defer cancel()
	acc.client, err = aws.Connect(ctx, options)
	return err
}

// shell writes commands about the account that the flags name, before it is connected to.
func (s *shared) shell() aws.Shell {
	return aws.Shell{Profile: s.profile, Region: s.region, Endpoint: s.endpoint, Stream: s.stream, Role: s.role, TokenVariable: s.tokenVariable, Document: s.document, Demo: s.demo}
}

// regionChosen reports whether flag or environment choose a region, or the demo account does.
func (s *shared) regionChosen() bool {
	return s.demo || s.set.Lookup("region").Changed ||
		cmp.Or(os.Getenv(variable("region")), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")) != ""
}

// goHome takes the region from the ARNs of what is asked for, where neither flag nor environment chooses one: from all of
// them, as there is one region for all. The demo account is where it is.
func (s *shared) goHome(asked ...aws.Query) {
	if s.regionChosen() {
		return
	}
	for _, q := range asked {
		if q.Home.Region == "" || q.Home.Region != asked[0].Home.Region {
			return
		}
	}
	if len(asked) > 0 {
		s.region = asked[0].Home.Region
	}
}

// prepare opens the log and, where it is wanted, the demo account, and says how to connect.
func (acc *account) prepare(a *app) (aws.Options, error) {
	s := &a.shared
	logTo := a.Stderr
	if s.logFile != "" {
		file, err := trust.Append(s.logFile)
		if err != nil {
			return aws.Options{}, &settingError{source: "--log-file", advice: advice(err, "name a file that can be written"), err: err}
		}
		acc.atClose(func() { _ = file.Close() })
		logTo = file
	}
	acc.log = newLog(logTo, s.logLevel.Level)
	options := aws.Options{
		Profile: s.profile, Region: s.region, Endpoint: s.endpoint, EndpointTrusted: s.endpointNamed, StreamEndpoint: s.stream, RoleARN: s.role, TokenVariable: s.tokenVariable, RoleDuration: s.roleDuration,
		Document: s.document, KeptRoles: rolesDir(), Log: acc.log,
	}
	switch {
	case a.github != nil:
		options.Mask = a.github.Mask
	case a.confidant != nil:
		options.Mask = a.confidant.tell
	}
	if s.demo {
		demo, err := startDemo(emulator.Options{Log: acc.log})
		if err != nil {
			return aws.Options{}, err
		}
		acc.demo = demo
		acc.atClose(demo.close)
		options = demo.options(acc.log)
		options.Document = s.document
		if s.set.Lookup("region").Changed {
			options.Region = s.region
		}
	}
	return options, nil
}

// atClose has something done when the account is closed.
func (acc *account) atClose(undo func()) {
	acc.mu.Lock()
	defer acc.mu.Unlock()
	acc.closes = append(acc.closes, undo)
}

// close undoes open, last first.
func (acc *account) close() {
	late := time.AfterFunc(leaveWithin, func() {
		for _, callOff := range acc.sides {
			callOff()
		}
	})
	defer late.Stop()
	for _, undo := range slices.Backward(acc.closes) {
		undo()
	}
}

// engine returns an engine as the shared flags want it.
func (acc *account) engine(s *shared) *tunnel.Engine {
	var sizes *tunnel.Sizes
	if s.messageSize == tunnel.AutoMessageSize && acc.demo == nil {
		sizes = tunnel.OpenSizes(filepath.Join(findPaths().State, "message-sizes.json"), acc.log)
	}
	return tunnel.New(tunnel.Options{
		Client: acc.client, Log: acc.log, Journal: acc.journal, Sizes: sizes,
		Lanes: int(s.lanes), OneTask: s.spread == "no", MessageSize: s.messageSize, UploadRate: s.uploadRate, ReResolve: s.reResolve, AllowLinkLocal: s.linkLocal, Relay: relayMode(s.relay), Build: s.build,
	})
}

// roots are the authorities that a URL probe trusts: the system's, and the demo's own.
func (acc *account) roots() *x509.CertPool {
	if acc.demo == nil {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(acc.demo.emulator.CACertificate())
	return pool
}

func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(logLines{w}, &slog.HandlerOptions{Level: level}))
}

// logLines makes what is logged safe to show, as all the rest: the handler, which writes a line at a time, quotes most of
// what could act, but not all.
type logLines struct{ to io.Writer }

func (l logLines) Write(line []byte) (int, error) {
	if _, err := io.WriteString(l.to, say.Line(string(bytes.TrimSuffix(line, []byte("\n"))))+"\n"); err != nil {
		return 0, err
	}
	return len(line), nil
}

// demoAccount is the embedded account, with the certificate of its private authority in a file for other programs.
type demoAccount struct {
	emulator    *emulator.Emulator
	certificate string // path
}

// startDemo starts the embedded account, which is always the same; o says how it behaves.
func startDemo(o emulator.Options) (*demoAccount, error) {
	o.Fleet = emulator.Demo()
	e, err := emulator.Start(o)
	if err != nil {
		return nil, fmt.Errorf("start the demo account: %w", err)
	}
	d := &demoAccount{emulator: e}
	if err := d.writeCertificate(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *demoAccount) writeCertificate() error {
	dir, err := os.MkdirTemp("", "culvert-demo-")
	if err != nil {
		return fmt.Errorf("write the demo's certificate: %w", err)
	}
	d.certificate = filepath.Join(dir, "billing-ca.pem")
	if err := os.WriteFile(d.certificate, d.emulator.CACertificate(), 0o600); err != nil {
		return fmt.Errorf("write the demo's certificate: %w", err)
	}
	return nil
}

func (d *demoAccount) options(log *slog.Logger) aws.Options {
	id, secret := d.emulator.Credentials()
	return aws.Options{Region: demoRegion, Endpoint: d.emulator.URL(), Keys: aws.Keys{ID: id, Secret: secret}, Demo: true, Log: log}
}

func (d *demoAccount) close() {
	d.emulator.Close()
	if d.certificate != "" {
		_ = os.RemoveAll(filepath.Dir(d.certificate))
	}
}
