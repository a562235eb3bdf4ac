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

// Forward is one tunnel to open: what to look for, and a Spec whose Target is still to be found.
type Forward struct {
	Query   aws.Query
	Spec    tunnel.Spec
	Probe   Probe         // instead of Options.Probe, unless it is the zero Probe
	Login   *doctor.Login // instead of Options.Login, unless it is nil
	Account *Account      // nil is that of Options.Client
	AnyPort bool          // whoever uses it is told the local port: that it is another than the usual one is no news
	// Profile and Region are shown with the tunnel: a saved one may name them.
	Profile, Region string
}

// Options say what to open and where to print. Engine, Forwards, Wait, Out, Err and, unless each forward has its own
// account, Client are needed.
type Options struct {
	Client   *aws.Client
	Engine   *tunnel.Engine // Run closes it
	Forwards []Forward
	Wait     time.Duration // until everything is proved ready
	Patience time.Duration // with one and the same refusal; 0 is 15 s
	Probe    Probe
	Login    *doctor.Login  // for proxies at the far ends that ask for one; nil is nobody
	Roots    *x509.CertPool // trusted by a URL probe; nil are the system's
	Out      io.Writer      // events
	Err      io.Writer      // what is being waited for
	JSON     bool
	Color    bool
	People   bool                   // lines for people who watch, see people
	Traffic  time.Duration          // between traffic events; 0 is 10 s
	Ready    func([]*tunnel.Tunnel) // called once nothing is waited for any more
	Command  *Command               // runs once everything is ready, and ends the run
	GitHub   *GitHub                // nil outside of GitHub Actions
	Board    *Board                 // shows the run to others; nil when nobody looks
	OnDemand *OnDemand              // starts the task that all forwards lead to; nil: it is there already

	kept []Kept // tunnels of Engine that are open already
}

// Run opens the forwards and stays until ctx ends, every tunnel is lost, or the command ends. It returns nil when it was
// told to stop and all tunnels were healthy, or the command ended with 0; else *StoppedError (told to stop too early),
// *UnreadyError, *LostError, *CommandError, *TemplateError, *EndError, or what kept it from starting. The engine is closed
// and its sessions are terminated in every case.
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
		r.printer.flush() // the group ends behind what is in it
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

// fold groups what is printed on GitHub, where that is text.
func (r *run) fold(title string) (unfold func()) {
	if r.JSON {
		return func() {}
	}
	return r.GitHub.Group(r.Out, title)
}

// prepare finds what would be in vain before anything is opened.
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

// run is one call of Run. Its fields belong to the goroutine of that call, but for found, probed and probes.
type run struct {
	Options

	printer printer
	notices *notices
	started time.Time
	ids     []tunnel.ID // of the forwards
	pending []*Account  // whose targets are not found yet
	tunnels []*tracked  // that are open, by their ids
	absent  []absent
	found   chan found
	probed  chan probed
	probes  sync.WaitGroup // and those who look for targets
	program *program       // nil without a command
	child   <-chan int     // its exit code, once it runs
	unfold  func()         // ends the group of the opening
}
