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
	begun   time.Time    // when --wait began: after the user was asked for the code that a role wants
	journal *tunnel.Journal

	mu     sync.Mutex
	closes []func()
	sides  []context.CancelFunc // call off what beside has started
}

// demoRegion is the region of the demo account.
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

// late wraps an error in a *lateError if --wait has ended what was done, and not ctx.
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

// shell returns the writer of commands about the account that the flags name. It needs no connection to the account.
func (s *shared) shell() aws.Shell {
	return aws.Shell{Profile: s.profile, Region: s.region, Endpoint: s.endpoint, Stream: s.stream, Role: s.role, TokenVariable: s.tokenVariable, Document: s.document, Demo: s.demo}
}

// regionChosen reports whether a flag or the environment chooses the region, or the demo account determines it.
func (s *shared) regionChosen() bool {
	return s.demo || s.set.Lookup("region").Changed ||
		cmp.Or(os.Getenv(variable("region")), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")) != ""
}

// goHome takes the region from the ARNs in queries, if neither a flag nor the environment chooses one, and every query has an ARN
// of the same region. In the demo account it does nothing.
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

// prepare opens the log and, with --demo, the demo account. It returns the options to connect with.
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

// atClose has undo called when the account is closed.
func (acc *account) atClose(undo func()) {
	acc.mu.Lock()
	defer acc.mu.Unlock()
	acc.closes = append(acc.closes, undo)
}

// close calls what atClose was given, the last first. After leaveWithin it calls off what beside has started.
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

// engine makes an engine with the options that the shared flags give it.
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

// roots are the certificate authorities that a URL probe trusts: those of the system, and in the demo also the demo's own. nil
// stands for those of the system.
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

// logLines makes log lines safe to show, as all other output is: the handler, which writes one line at a time, does not quote
// every character on which a terminal could act.
type logLines struct{ to io.Writer }

func (l logLines) Write(line []byte) (int, error) {
	if _, err := io.WriteString(l.to, say.Line(string(bytes.TrimSuffix(line, []byte("\n"))))+"\n"); err != nil {
		return 0, err
	}
	return len(line), nil
}

// demoAccount is the embedded account. The certificate of its own authority is in a file, for other programs.
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
