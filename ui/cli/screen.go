package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/term"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
	"culvert/internal/trust"
	"culvert/tunnel"
	"culvert/ui/browser"
	"culvert/ui/clip"
	"culvert/ui/dbclient"
	"culvert/ui/headless"
	"culvert/ui/recent"
	"culvert/ui/screen"
)

// screen runs culvert without --headless: the interface.
func (a *app) screen(ctx context.Context, aim *aim, forwards *forwards) error {
	if !a.onTerminal() {
		return usage("run culvert --headless, or "+a.shared.shell().Culvert("list")+" to see what there is", "the interface needs a terminal on stdin and stdout")
	}
	open, start, err := a.toStart(aim, forwards)
	if err == nil {
		err = a.shared.checkLogin()
	}
	if err != nil {
		return err
	}
	if guarded, err := a.guard(ctx); guarded {
		return err
	}
	ctx, cancel, tether := leashed(ctx)
	defer cancel(nil)
	s := &screenAccount{app: a, ring: &screen.LogRing{}, codes: screen.NewCodes()}
	defer s.close() //nolint:contextcheck // the embedded account outlives the contexts that it served
	if err := s.openLog(); err != nil {
		return err
	}
	options := a.screenOptions(ctx, s)
	options.At, options.Start = open, start
	k := &keeping{ctx: ctx, app: a, account: s, tether: tether, dir: controlDir()}
	options.Keep, options.Reopens = k.keep, !tether.canLeave()
	kept, left, err := screen.Run(ctx, options)
	if broken, ok := errors.AsType[*screen.PanicError](err); ok {
		_, _ = a.Stderr.Write(broken.Stack)
	}
	for _, one := range left {
		a.warn(one)
	}
	return k.after(kept, err)
}

// onTerminal reports whether standard input and output are a terminal that can show a screen.
func (a *app) onTerminal() bool {
	in, isIn := a.Stdin.(*os.File)
	out, isOut := a.Stdout.(*os.File)
	return isIn && isOut && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
}

// toStart returns the row of the browser at which the interface begins, and the tunnels that it opens at once, by the flags.
func (a *app) toStart(aim *aim, forwards *forwards) (open aws.Target, start []screen.Start, err error) {
	if !forwards.given() {
		if err := a.shared.withoutAnyHost(); err != nil {
			return open, nil, err
		}
	}
	if !aim.given() && !forwards.given() {
		return open, nil, nil
	}
	if !forwards.any() {
		open, err = a.toOpen(aim)
		return open, nil, err
	}
	wanted, err := a.wanted(aim, forwards, nil)
	if err != nil {
		return open, nil, err
	}
	if open, err = a.toOpen(aim); err != nil {
		open = aws.Target{} // an ARN of a task may not name its cluster; the tunnel finds it, so that this is no error
	}
	start = make([]screen.Start, len(wanted))
	for i, w := range wanted {
		start[i] = screen.Start{Query: w.Query, Spec: w.Spec, Probe: a.shared.probe.String()}
	}
	return open, start, nil
}

// toOpen returns the row of the browser that the target of the flags names.
func (a *app) toOpen(aim *aim) (aws.Target, error) {
	q, err := aim.names()
	switch {
	case err != nil:
		return aws.Target{}, err
	case q.Cluster == "":
		return aws.Target{}, usage("name it with --cluster, or --target CLUSTER/SERVICE; culvert alone shows all of them", "no cluster to open the screen at")
	case q.Container != "" && q.Service == "" && q.Task == "" && q.Family == "":
		return aws.Target{}, usage("name it with --service or --task", "no service or task for the container %q", q.Container)
	}
	a.shared.goHome(q)
	open := q.Target()
	open.Home = q.Home
	return open, nil
}

func (a *app) screenOptions(ctx context.Context, s *screenAccount) screen.Options {
	o := a.usualOptions(ctx, s)
	if a.shared.bell != nil {
		o.Bell = *a.shared.bell
	}
	if o.Demo {
		o.Begin = aws.Target{Cluster: demoCluster, Service: demoService}
		o.Refresh = min(o.Refresh, demoRefresh)
		return o // the demo keeps no memory of used tunnels
	}
	o.Recent = recent.File(filepath.Join(findPaths().State, "recent.json"))
	return o
}

func (a *app) usualOptions(ctx context.Context, s *screenAccount) screen.Options {
	return screen.Options{
		Action:  a.Build.Action,
		Connect: s.connect,
		Codes:   s.codes,
		Engine:  func(c *aws.Client) *tunnel.Engine { return s.engine(ctx, c) },
		Prove: func(ctx context.Context, t *tunnel.Tunnel, probe, user string) (string, error) {
			p, err := parseProbe(probe)
			if err != nil {
				return "", err
			}
			login, err := a.shared.loginOnScreen(user)
			if err != nil {
				return "", err
			}
			return headless.Prove(ctx, t, p, login, (&account{demo: s.demo}).roots())
		},
		CheckProbe: func(probe string) error {
			_, err := parseProbe(probe)
			return err
		},
		Errand:    a.errand,
		Family:    moduleFamily,
		ProxyUser: a.shared.userOnScreen(),
		Profile:   a.shared.profile, Region: a.shared.region,
		Profiles:  aws.Profiles,
		Keys:      a.shared.keys,
		NoMouse:   a.shared.mouse != nil && !*a.shared.mouse,
		Roots:     s.roots,
		ReadOnly:  a.shared.readOnly,
		Refresh:   a.shared.refresh,
		KeepAlive: a.shared.keepAlive,
		Database:  s.database,
		AnyHost:   a.shared.anyHostOf(nil),
		LinkLocal: a.shared.linkLocal,
		Relay:     relayMode(a.shared.relay),
		Build:     a.shared.build,
		Demo:      a.shared.demo,
		Saved:     a.shared.shown(&a.shared.saved),
		Save:      (&keeper{shared: &a.shared, ctx: ctx}).save,
		Open:      browser.Find(runtime.GOOS, os.Getenv),
		Up:        controlDir(),
		Log:       s.ring,
		In:        a.Stdin,
		Out:       a.Stdout,
		Getenv:    os.Getenv,

		Clipboards: clip.Find(runtime.GOOS, os.Getenv),
	}
}

// parseProbe reads a value of --probe; an empty one chooses by the port.
func parseProbe(text string) (headless.Probe, error) {
	var v probeValue
	if text == "" {
		return v.Probe, nil
	}
	err := v.Set(text)
	return v.Probe, err
}

// screenAccount opens the accounts for the interface. The embedded account is only started when the first is opened, so that the
// screen does not wait for it.
type screenAccount struct {
	app  *app
	ring *screen.LogRing
	log  *slog.Logger
	file io.Closer // the file of the log; nil when there is none
	to   turnout   // where the log goes, unless --log-file names a file

	codes  *screen.Codes // asks the user at the screen for one-time codes
	closes []func()      // close what belongs to the engines

	left   sync.Once // stops the tasks that killed processes have left
	once   sync.Once
	demo   *demoAccount
	failed error

	visitors visitors
}

func (s *screenAccount) connect(ctx context.Context, profile, region, role string) (*aws.Client, error) {
	flags := &s.app.shared
	options := aws.Options{
		Profile: profile, Region: cmp.Or(region, regionFor(flags, profile)), Endpoint: flags.endpoint, EndpointTrusted: flags.endpointNamed,
		StreamEndpoint: flags.stream, Document: flags.document, Code: s.codes.Ask, KeptRoles: rolesDir(), Log: s.log,
	}
	if profile == flags.profile {
		options.RoleARN, options.TokenVariable = flags.role, flags.tokenVariable
	}
	if role != "" {
		options.RoleARN = role
	}
	if flags.demo {
		s.once.Do(func() {
			s.demo, s.failed = startDemo(emulator.Options{Life: demoLife, Pace: demoPace, Log: s.log}) //nolint:contextcheck // the account lives until it is closed
			if s.failed == nil {
				s.visitors.work.Go(func() { deploys(ctx, s.demo.emulator, firstDeployment, nextDeployment) })
			}
		})
		if s.failed != nil {
			return nil, s.failed
		}
		options = s.demo.options(s.log)
		options.Region = cmp.Or(region, options.Region)
	}
	return aws.Connect(ctx, options)
}

// engine makes the engine for an account. Sessions and tasks that a killed culvert has left are told in the log, as the screen
// has no other place for that.
func (s *screenAccount) engine(ctx context.Context, c *aws.Client) *tunnel.Engine {
	acc := &account{client: c, log: s.log, demo: s.demo}
	acc.openJournal(s)
	s.app.endLeftBeside(ctx, acc, c, s)
	s.left.Do(func() { acc.beside(ctx, func(ctx context.Context) { s.app.endRuns(ctx, s) }) }) // the tasks of all accounts
	s.closes = append(s.closes, acc.close)
	e := acc.engine(&s.app.shared)
	if s.demo != nil {
		s.enliven(ctx, e)
	}
	return e
}

// database returns the access with which programs for databases begin. In the embedded account they need no login, and show a
// table that it has.
func (s *screenAccount) database() dbclient.Access {
	if s.demo == nil {
		return dbclient.Access{}
	}
	return dbclient.Access{Also: s.demo.emulator.CACertificate(), Else: demoDatabase(), Welcome: "table orders;"}
}

// roots are the certificate authorities that the probes of the doctor trust: in the demo also the embedded account's own.
func (s *screenAccount) roots() *x509.CertPool { return (&account{demo: s.demo}).roots() }

func (s *screenAccount) noticef(format string, args ...any) {
	s.log.Warn("what an earlier culvert has left", "says", fmt.Sprintf(format, args...))
}

func (s *screenAccount) warn(err error) {
	s.log.Warn("what an earlier culvert has left", "error", err, "remedy", say.Remedy(err))
}

// regionFor is the region of the flags for the profile of the flags; empty for another profile.
func regionFor(flags *shared, profile string) string {
	if profile != flags.profile {
		return ""
	}
	return flags.region
}

// openLog opens the log. All of it goes to the ring of the log screen, and a part as --log-level says to a file, as the terminal
// shows the screen.
func (s *screenAccount) openLog() error {
	flags := &s.app.shared
	file, err := openLogFile(flags.logFile)
	var to io.Writer = &s.to
	switch {
	case err != nil && flags.logFile != "":
		return &settingError{source: "--log-file", advice: advice(err, "name a file that can be written"), err: err}
	case flags.logFile != "":
		s.file, to = file, file
	case err == nil: // if the usual file cannot be opened, the log is only on the log screen
		s.file = file
		s.to.turn(file)
	}
	s.log = slog.New(slog.NewMultiHandler(s.ring.Handler(), slog.NewTextHandler(to, &slog.HandlerOptions{Level: flags.logLevel.Level})))
	return nil
}

// logTo makes the log go to w from now on, unless --log-file names a file.
func (s *screenAccount) logTo(w io.Writer) { s.to.turn(w) }

// turnout writes to the writer that turn was given last, and drops what is written before. It is safe for concurrent use.
type turnout struct {
	mu sync.Mutex
	to io.Writer
}

func (t *turnout) turn(to io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = to
}

func (t *turnout) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil {
		return len(p), nil
	}
	return t.to.Write(p)
}

// screenLog is the name of the interface's log in the state directory, without .log.
const screenLog = "screen"

// openLogFile opens the named file, or for an empty path the one in the state directory.
func openLogFile(path string) (*os.File, error) {
	if path == "" {
		dir := findPaths().State
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		path = filepath.Join(dir, screenLog+".log")
	}
	return trust.Append(path)
}

func (s *screenAccount) close() {
	s.visitors.leave()
	for _, undo := range s.closes {
		undo()
	}
	if s.demo != nil {
		s.demo.close()
	}
	if s.file != nil {
		_ = s.file.Close()
	}
}
