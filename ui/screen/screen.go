// Package screen is the interface on a terminal (the first face). It shows what can be reached and what the tunnels do, and
// decides nothing about either: the packages aws and tunnel do.
package screen

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/clip"
	"culvert/ui/control"
	"culvert/ui/dbclient"
	"culvert/ui/draw"
	"culvert/ui/recent"
)

// Options say what the interface works on. Connect and Engine are needed; the rest has zero values that work.
type Options struct {
	// Connect opens an account; empty names are what flags, environment and files say. A role is its ARN.
	Connect func(ctx context.Context, profile, region, role string) (*aws.Client, error)
	// Engine makes the engine for an account. The interface closes it.
	Engine func(*aws.Client) *tunnel.Engine
	// Prove tells whether a tunnel that is open reaches its far end, and by what that was seen, as the ready event names
	// it: http-proxy, postgres, … probe is what --probe takes, empty chooses by the port. Without Prove an open session is
	// enough. user is whom a proxy there is asked as; empty is nobody.
	Prove func(ctx context.Context, t *tunnel.Tunnel, probe, user string) (by string, err error)
	// Errand returns what starts something for one tunnel and stops it; nil: the screen starts nothing.
	Errand func(aws.Order, *aws.Client) Errand
	Family string // the family of the task definition that is run where the user names none
	// CheckProbe says what is wrong with a probe as it is typed.
	CheckProbe func(probe string) error

	Codes *Codes // passes questions for one-time codes while accounts are opened; nil: nobody is asked

	ProxyUser       string              // the user for proxies at the far ends, unless a saved tunnel names another; empty for none
	Profile, Region string              // the account with which the screen begins
	Profiles        func() []string     // returns the profiles from which the user can choose
	Keys            map[string][]string // remapped, by action; see CheckKeys
	NoMouse         bool
	Bell            Bell
	Roots           func() *x509.CertPool  // returns the authorities that the doctor's probes trust; nil: the system's
	ReadOnly        bool                   // the user can open and end nothing
	Refresh         time.Duration          // how often what is in sight is read again; 0 is 10 s
	KeepAlive       time.Duration          // that the dialog proposes
	Database        func() dbclient.Access // what programs for databases get beside host and way; nil: nothing
	AnyHost         *tunnel.Dynamic        // that the dialog proposes for a tunnel to any host; nil: none
	LinkLocal       bool                   // remote hosts may be link-local addresses, as for the engine
	Relay           tunnel.RelayMode       // as for the engine; the doctor looks for one by it
	Build           string                 // as for the engine
	Demo            bool                   // the account is the embedded one
	Action          string                 // that workflow steps use, as internal/origin has it
	Begin           aws.Target             // cluster and service that a newcomer is led to; zero: nowhere

	At aws.Target // where the browser begins: a cluster, or in it a service, a task, a container; zero: at all clusters

	Start  []Start                         // opened as soon as the account is
	Saved  Saved                           // tunnels and groups of the config files
	Save   func([]Change) (Written, error) // all of them or none; nil: there is nowhere to save to
	Recent recent.File                     // where the tunnels that were used are remembered; empty: nowhere
	Open   func(url string) error          // in a browser on this machine; nil: there is none
	Up     control.Dir                     // where what culvert up holds is found; zero: nowhere
	// Keep has tunnels go on in the background, as a set of the name that it returns, while the interface ends. nil: they end
	// with it.
	Keep    func(ctx context.Context, kept []Kept) (name string, err error)
	Reopens bool     // what Keep was given is closed with the interface and opened anew: connections end
	Log     *LogRing // what the log screen shows; nil: nothing

	In     io.Reader // nil is the terminal
	Out    io.Writer
	Getenv func(string) string // nil: an empty environment

	Clipboards clip.Clipboards  // where copied text goes; zero: to the terminal's alone
	Now        func() time.Time // nil is time.Now
}

// closeWithin is how long the sessions may take to be terminated at the end.
const closeWithin = 5 * time.Second

// Run shows the interface until the user quits or ctx ends; its tunnels end with it, but for those that are kept in a set of
// the name that it returns: then an error is only about the others. left are the sessions that it could not terminate. A
// *PanicError is an error of ours, reported after the terminal is what it was.
func Run(ctx context.Context, o Options) (kept string, left []*tunnel.UnendedError, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := newApp(ctx, o)
	if err != nil {
		return "", nil, err
	}
	program := tea.NewProgram(a, tea.WithContext(ctx), tea.WithInput(a.o.In), tea.WithOutput(a.o.Out), tea.WithoutSignalHandler())
	_, err = program.Run()
	o.Codes.end()
	cancel()
	if err = a.outcome(ctx, err); err != nil {
		a.kept = "" // the interface has ended in another way than by leaving its tunnels
	}
	err = errors.Join(err, a.close()) //nolint:contextcheck // ctx has ended, the sessions are to be terminated all the same
	return a.kept, a.unended(), err
}

// app is the model of the program: the event loop. It alone knows all pages; they know what they were made with.
type app struct {
	*look
	*accounts

	o       Options
	width   int
	height  int
	blurred bool      // the terminal has told that it lost the keyboard
	touched time.Time // the last key, or the mouse
	beat    int       // number of the running series of ticks

	tunnels *tunnels
	shelf   *shelf
	memory  *memory
	browse  *browse
	pane    *tunnelsPane
	pages   []screen // that lie over the browser, the last on top
	dialog  screen   // that lies over all and has every key; nil when there is none
	from    []bool   // whether the tunnels had the keyboard when each of them was opened
	below   bool     // the tunnels have the keyboard
	click   lastClick
	pointed time.Time // when the mouse did something that is not drawn yet; else zero
	zoomed  bool      // what has the keyboard fills the window
	notice  notice
	pausing screen           // the question whether to suspend all the same
	beneath screen           // the dialog that it lies over
	rang    time.Time        // the bell
	reports []*doctorPage    // the last of the doctor's
	broken  *PanicError      // an error of ours that ends the program
	kept    string           // the set that tunnels go on as; empty while they do not
	going   []*tunnel.Engine // those of kept, which are not to be closed

	examining sync.WaitGroup // the doctor's examinations: each has a session of its own to terminate
}

// screen is what fills a frame: a page, or a dialog.
type screen interface {
	// title stands in the frame's upper edge, foot in its lower.
	title() string
	foot() string
	// update takes keys, pastes, and the mouse with a place relative to what draw returned. False leaves the message to
	// the event loop; a dialog gets them all anyway.
	update(msg tea.Msg) (wish, bool)
	// draw returns at most h lines of at most w cells; focused is whether the keyboard is here. A dialog is as tall as
	// what it returns.
	draw(w, h int, focused bool) []string
	// help is what the bottom line says, what matters most first.
	help() []draw.Binding
}

func newApp(ctx context.Context, o Options) (*app, error) {
	keys, err := remap(o.Keys)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Refresh == 0 {
		o.Refresh = 10 * time.Second
	}
	l := &look{theme: draw.NewTheme(draw.UnicodeLocale(o.Getenv)), keys: keys, now: o.Now()}
	a := &app{look: l, accounts: newAccounts(ctx, l, o), o: o, touched: l.now, shelf: &shelf{Saved: o.Saved, look: l, write: o.Save}}
	a.tunnels = newTunnels(l, a.accounts, &a.shelf.Saved, o)
	a.browse = newBrowse(l, a.accounts, a.tunnels, o)
	a.memory = newMemory(l, a.tunnels, o)
	a.pane = newTunnelsPane(l, a.tunnels, a.shelf, a.memory, a.browse.way)
	a.tunnels.changed = a.pane.arrange
	return a, nil
}

// firstFrame is how long the terminal has for the first frame before anything else is done.
const firstFrame = 30 * time.Millisecond

// Init asks the terminal about itself, and looks at the account when the first frame is out.
func (a *app) Init() tea.Cmd {
	look := tea.Tick(firstFrame, func(time.Time) tea.Msg {
		return then(func() wish { return all(a.here.look(), a.memory.load(), awaitCode(), hurry()) })
	})
	return a.guarded(tea.Batch(tea.RequestBackgroundColor, look))
}

// Update takes one message.
func (a *app) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	defer func() {
		if value := recover(); value != nil {
			cmd = a.panicked(value)
		}
	}()
	if a.broken != nil {
		return a, tea.Quit
	}
	return a, a.guarded(a.take(msg))
}

// take does what a message wants.
func (a *app) take(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.width, a.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		a.theme.Dark = msg.IsDark()
		a.theme.Mix()
	case tea.ColorProfileMsg:
		a.theme.Profile = msg.Profile
		a.theme.Mix()
	case tea.FocusMsg:
		a.blurred = false
		return a.hurry()
	case tea.BlurMsg:
		a.blurred = true
	case tickMsg:
		return a.tick(msg)
	case tea.KeyPressMsg:
		a.touched = a.o.Now()
		return a.key(msg)
	case tea.PasteMsg:
		w, _ := a.top().update(msg)
		return a.grant(w)
	case tea.MouseMsg:
		a.touched = a.o.Now()
		a.pointed = a.touched
		return a.mouse(msg)
	case then:
		return a.grant(msg())
	}
	return nil
}

// top is the screen that has the keyboard.
func (a *app) top() screen {
	switch {
	case a.dialog != nil:
		return a.dialog
	case a.below:
		return a.pane
	case len(a.pages) > 0:
		return a.pages[len(a.pages)-1]
	}
	return a.browse
}

// leave takes the page on top away.
func (a *app) leave() {
	if n := len(a.pages); n > 0 {
		a.below = a.from[n-1]
		a.pages, a.from = a.pages[:n-1], a.from[:n-1]
	}
}

// close terminates the sessions of every account, but for what goes on, and waits for what runs here.
func (a *app) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	defer a.examining.Wait() // ended with the run's context, and bounded by itself
	a.memory.flush(a.kept != "")
	errs := make([]error, len(a.places))
	var closing sync.WaitGroup
	for i, p := range a.places {
		if p.engine != nil && !slices.Contains(a.going, p.engine) {
			closing.Go(func() { errs[i] = p.engine.Close(ctx) }) // no account waits for one that does not answer
		}
	}
	closing.Wait()
	if err := errors.Join(errs...); err != nil {
		err = fmt.Errorf("close tunnels: %w", err)
		return errors.Join(err, a.tunnels.endErrands(ctx))
	}
	return a.tunnels.endErrands(ctx)
}

// unended are the sessions that close could not terminate, nor the last examinations of the doctor.
func (a *app) unended() (left []*tunnel.UnendedError) {
	for _, p := range a.places {
		if p.engine != nil && !slices.Contains(a.going, p.engine) {
			left = append(left, p.engine.Unended()...)
		}
	}
	for _, d := range a.reports {
		if d.report != nil {
			left = append(left, d.report.Left...)
		}
	}
	return left
}

// outcome is what the end of the program means.
func (a *app) outcome(ctx context.Context, err error) error {
	switch {
	case a.broken != nil:
		return a.broken
	case errors.Is(err, tea.ErrProgramPanic):
		return &PanicError{Value: err}
	case errors.Is(err, tea.ErrProgramKilled), errors.Is(err, tea.ErrInterrupted):
		return context.Cause(ctx)
	}
	return err
}
