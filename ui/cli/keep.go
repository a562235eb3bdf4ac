package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
	"culvert/ui/screen"
)

// Who leaves the interface may keep its tunnels. Sessions and connections live in the process, so the process itself goes
// on, as a holder like that of culvert up, while its guard gives the terminal back. Where there is no guard it ends, and up
// opens its tunnels anew.

// keptName is the first choice for the name of a set that the interface leaves. The log of a set bears its name, and
// screen.log is that of every interface.
const keptName = "kept"

// maxKept bounds the names that are tried.
const maxKept = 100

// keeping is what becomes of the tunnels of an interface that is left.
type keeping struct {
	ctx     context.Context //nolint:containedctx // the interface's own ends before the tunnels do
	app     *app
	account *screenAccount
	tether  *tether
	dir     control.Dir

	mu     sync.Mutex
	over   bool // the interface has ended
	record control.Record
	log    *os.File
	file   *headless.LogFile
	wait   func() (control.Set, error) // for the end of the tunnels; nil while they are the interface's own
	stop   context.CancelFunc          // ends them
	reopen []screen.Kept
}

// keep is Options.Keep of the interface.
func (k *keeping) keep(_ context.Context, kept []screen.Kept) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return "", context.Canceled
	}
	if k.wait != nil { // it was asked for twice
		return k.record.Name, nil
	}
	if err := k.dir.Prepare(); err != nil {
		return "", err
	}
	if !k.tether.canLeave() {
		k.reopen = kept
		return k.free()
	}
	lock, err := k.claim(kept)
	if err != nil {
		return "", err
	}
	defer lock.Unlock()
	if err := k.begin(kept); err != nil { //nolint:contextcheck // what is kept outlives the interface, whose context that is
		return "", errors.Join(err, k.dir.Remove(k.record.Name))
	}
	return k.record.Name, nil
}

// free is the first name that no set has.
func (k *keeping) free() (string, error) {
	for n := range maxKept {
		name := keptName
		if n > 0 {
			name = fmt.Sprintf("%s-%d", keptName, n+1)
		}
		if _, err := k.dir.Read(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", &control.SetError{
		Problem: fmt.Sprintf("every name from %s to %s-%d is taken", keptName, keptName, maxKept),
		Advice:  "run culvert down, which ends what is up and forgets what has ended",
		Code:    exitFailed,
	}
}

// claim writes the record of a set that had no name before.
func (k *keeping) claim(kept []screen.Kept) (*control.Lock, error) {
	for {
		name, err := k.free()
		if err != nil {
			return nil, err
		}
		lock, err := k.dir.Lock(k.ctx, name, func() {})
		if err != nil {
			return nil, err
		}
		if _, err := k.dir.Read(name); err == nil { // another one was quicker
			lock.Unlock()
			continue
		}
		k.record = control.Record{Name: name, Process: control.Self(), Since: time.Now(), Log: k.dir.Log(name)}
		for _, one := range kept {
			in := k.accountOf(one.Tunnel)
			if !slices.Contains(k.record.Accounts, in) {
				k.record.Accounts = append(k.record.Accounts, in)
			}
			s := one.Tunnel.Spec()
			k.record.Request = append(k.record.Request, fmt.Sprintf("%s: %s to %s%s", s.Target, one.Local, s.FarEnd(), wordingOf(s.Dynamic)+wording(in)))
		}
		if err := k.dir.Write(k.record); err != nil {
			lock.Unlock()
			return nil, err
		}
		return lock, nil
	}
}

// accountOf is where the sessions of a tunnel are.
func (k *keeping) accountOf(t *tunnel.Tunnel) control.Account {
	return k.app.shared.accountBehind(t.Spec().Client)
}

// accountBehind is how a client of the interface is opened again.
func (s *shared) accountBehind(c *aws.Client) control.Account {
	if s.demo {
		return s.own()
	}
	in := c.Shell()
	return recorded(control.Account{Profile: in.Profile, Region: in.Region, Role: in.Role, Endpoint: in.Endpoint, Named: s.endpointNamed && in.Endpoint != ""})
}

// begin lets the tunnels go on under the record that was written.
func (k *keeping) begin(kept []screen.Kept) (err error) {
	if k.log, err = newHolderLog(k.record.Log); err != nil {
		return err
	}
	if k.file, err = headless.OpenLog(k.record.Log); err != nil {
		_ = k.log.Close()
		return err
	}
	going := make([]headless.Kept, len(kept))
	for i, one := range kept {
		probe, _ := parseProbe(one.Probe)                // it was checked when the tunnel was opened
		login, _ := k.app.shared.loginOnScreen(one.User) // who has none is told when it is proved
		going[i] = headless.Kept{
			Login:  login,
			Tunnel: one.Tunnel, Engine: one.Engine, Probe: probe, Profile: one.Profile, Region: one.Region,
			Hosts: one.Hosts, Others: one.Others, Counted: one.Counted, End: one.End,
		}
	}
	ctx, stop := context.WithCancel(k.ctx)
	options := headless.Options{Roots: (&account{demo: k.account.demo}).roots(), Out: k.file, Err: k.file}
	wait, err := headless.Keep(ctx, options, headless.Holding{Dir: k.dir, Record: k.record}, going)
	if err != nil {
		stop()
		return errors.Join(err, k.log.Close(), k.file.Close())
	}
	k.wait, k.stop = wait, stop
	return nil
}

// after does what is to be done when the interface has ended: name is that of the set that goes on, empty for none.
func (k *keeping) after(name string, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	switch {
	case k.wait != nil && (name == "" || err != nil): // it was left in another way meanwhile
		k.stop()
		_, _ = k.wait() // of tunnels that were ended
		return errors.Join(err, k.dir.Remove(k.record.Name), k.log.Close(), k.file.Close())
	case name == "" || err != nil:
		return err
	case k.wait == nil:
		return k.openAgain()
	}
	return k.hold()
}

// hold is the rest of the process: it goes on without a terminal until its tunnels end.
func (k *keeping) hold() error {
	defer k.stop()
	defer k.log.Close()  //nolint:errcheck // its end is that of the process
	defer k.file.Close() //nolint:errcheck // as above
	a, name := k.app, k.record.Name
	words := fmt.Sprintf("the tunnels go on in the background as %s (process %d)\nculvert status shows them, culvert down %s ends them\n", name, k.record.Process.PID, name)
	a.Stdout, a.Stderr, a.github = k.file, k.file, nil
	k.account.logTo(logLines{k.file})
	if err := k.tether.leave(k.log, words); err != nil {
		a.logf("%s", err)
	}
	last, err := k.wait()
	return a.ended(k.ctx, k.dir, k.record, last, err)
}

// openAgain has culvert up open what the interface has closed, each tunnel as a set of its own: up knows one target.
func (k *keeping) openAgain() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find culvert itself: %w", err)
	}
	var failed []error
	for _, one := range k.reopen {
		name, err := k.free()
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		k.app.noticef("opening %s again in the background, as %s; its open connections have ended", one.Local, name)
		up := exec.CommandContext(k.ctx, program, slices.Concat([]string{"up", "--name", name}, one.Flags, k.app.shared.given())...) //nolint:gosec // ourselves
		up.Stdout, up.Stderr = k.app.Stdout, k.app.Stderr
		if err := up.Run(); err != nil {
			failed = append(failed, fmt.Errorf("open %s again: %w", one.Local, err))
		}
	}
	return errors.Join(failed...)
}

// given are the shared flags of the command line, but for those that a tunnel has its own of.
func (s *shared) given() (flags []string) {
	own := []string{"profile", "region", "endpoint-url", "stream-endpoint", "role-arn", "demo", "probe", "keep-alive", "output", "refresh", "read-only"}
	s.set.Visit(func(f *pflag.Flag) {
		if !slices.Contains(own, f.Name) {
			flags = append(flags, "--"+f.Name+"="+f.Value.String())
		}
	})
	return flags
}
