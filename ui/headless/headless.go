// Package headless is culvert's face for scripts and CI: it opens tunnels, proves them ready and prints one line or JSON
// object per event until it is told to stop.
package headless

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"sync"
	"time"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// Forward is one tunnel to open: a Query for its target, and a Spec whose Target is not known yet.
type Forward struct {
	Query   aws.Query
	Spec    tunnel.Spec
	Probe   Probe         // instead of Options.Probe, unless it is the zero Probe
	Login   *doctor.Login // instead of Options.Login, unless it is nil
	Account *Account      // nil for the account of Options.Client
	AnyPort bool          // nobody has to know the local port beforehand: no warning when it is not the usual one
	// Profile and Region are shown with the tunnel: a saved one may name them.
	Profile, Region string
}

// Options say what to open and where to print. Engine, Forwards, Wait, Out, Err and, unless each forward has its own
// account, Client are needed.
type Options struct {
	Client   *aws.Client
	Engine   *tunnel.Engine // Run closes it
	Forwards []Forward
	Wait     time.Duration // for everything to be proved ready
	Patience time.Duration // how long a forward may meet the same refusal; 0 is 15 s
	Probe    Probe
	Login    *doctor.Login  // for proxies at the far ends that ask for a login; nil when there is none
	Roots    *x509.CertPool // authorities that a URL probe trusts; nil for the system's
	Out      io.Writer      // events
	Err      io.Writer      // notices: what is waited for, warnings
	JSON     bool
	Color    bool
	People   bool                   // lines for people who watch, see people
	Traffic  time.Duration          // between traffic events; 0 is 10 s
	Ready    func([]*tunnel.Tunnel) // called once, when nothing is waited for any more
	Command  *Command               // runs once everything is ready, and ends the run
	GitHub   *GitHub                // nil outside of GitHub Actions
	Board    *Board                 // shows the run to others; nil when nobody wants to see it
	OnDemand *OnDemand              // starts the task that all forwards lead to; nil when that runs already

	kept []Kept // tunnels of Engine that are open already
}

// Run opens the forwards and stays until ctx ends, every tunnel is lost, or the command ends. It returns nil when it was told
// to stop and all tunnels were healthy, or the command ended with 0; else *StoppedError (told to stop too early),
// *UnreadyError, *LostError, *CommandError, *TemplateError, *EndError, or the error that kept it from starting. The engine is
// closed and its sessions are terminated in every case.
func Run(ctx context.Context, o Options) error {
	if o.Board == nil {
		o.Board = &Board{}
	}
	r := &run{
		Options: o, printer: printer{outbox: newOutbox(o.Out), json: o.JSON, color: o.Color, before: o.Board.before}, notices: &notices{out: o.Err}, started: time.Now(),
	}
	if o.People {
		r.printer.people = newPeople(len(o.Forwards)+len(o.kept) == 1)
	}
	o.Board.begin(r.started)
	watched, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	events, endings := o.Engine.Watch(watched), o.Engine.Endings(watched)

	probing, stopProbing := context.WithCancel(ctx)
	r.probed, r.found = make(chan probed), make(chan found)
	unfold := r.fold("culvert: open the tunnels")
	r.unfold = func() {
		r.printer.flush() // the end of the group has to come behind its lines
		unfold()
	}
	err := r.prepare()
	if err == nil {
		err = r.adopt(probing)
	}
	if err == nil {
		r.look(probing)
		err = r.attend(ctx, probing, events, endings)
	}
	stopProbing()
	r.probes.Wait()
	o.Board.ending()
	if o.Command != nil {
		r.unfold()
		unfold = r.fold("culvert: close the tunnels")
	}
	closing := r.close(ctx, events, endings)
	r.endDemand(ctx)
	err = r.OnDemand.over(err)
	if leftOut, _ := r.printer.close(); leftOut > 0 {
		r.notices.say(fmt.Sprintf("warning: %d events were not printed: nobody has read them in time", leftOut))
	}
	unfold()
	if err == nil {
		err = closing
	}
	r.lament()
	o.Board.ended(err)
	r.summarize(err)
	return err
}

// fold groups what is printed until unfold is called, on GitHub and where the lines are text.
func (r *run) fold(title string) (unfold func()) {
	if r.JSON {
		return func() {}
	}
	return r.GitHub.Group(r.Out, title)
}

// prepare checks, before anything is opened, what would make the run fail later: the runner's files, and the command. It also
// hides the passwords from GitHub's log.
func (r *run) prepare() error {
	if err := r.GitHub.Check(); err != nil {
		return err
	}
	r.GitHub.MaskLogin(r.Login)
	for _, f := range r.Forwards {
		r.GitHub.MaskLogin(f.Login)
	}
	if r.Command == nil {
		return nil
	}
	program, err := r.Command.prepared(len(r.Forwards))
	r.program = program
	return err
}

// summarize writes the step's summary on GitHub.
func (r *run) summarize(err error) {
	if r.GitHub == nil {
		return
	}
	how := "ended as it should"
	if err != nil {
		how = "ended: " + err.Error()
	}
	r.GitHub.Summarize(Summary("culvert", how, r.Board.Set(), true))
}

// run is one call of Run. Its fields belong to the goroutine of that call, except found, probed and probes.
type run struct {
	Options

	printer printer
	notices *notices
	started time.Time
	ids     []tunnel.ID // of the forwards, at the same index
	pending []*Account  // those whose targets are not found yet
	tunnels []*tracked  // those that were opened, sorted by id
	absent  []absent
	found   chan found
	probed  chan probed
	probes  sync.WaitGroup // the goroutines that probe, and those that look for targets
	program *program       // nil without a command
	child   <-chan int     // gets the command's exit code; nil until it runs
	unfold  func()         // ends the group of lines about the opening
}
