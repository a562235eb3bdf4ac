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

// A user who leaves the interface may keep its tunnels. As their sessions and connections live in the process, the process goes
// on as a holder, like that of culvert up, and its guard gives the terminal back to the shell. Without a guard the process ends,
// and culvert up opens the tunnels anew.

// keptName is the first choice for the name of a set that the interface leaves. It is not "screen", as the log of a set has the
// set's name, and screen.log is the log of the interface.
const keptName = "kept"

// maxKept is how many names are tried.
const maxKept = 100

// keeping keeps the tunnels of an interface that the user leaves.
type keeping struct {
	ctx     context.Context //nolint:containedctx // the context of the interface ends before the tunnels do
	app     *app
	account *screenAccount
	tether  *tether
	dir     control.Dir

	mu     sync.Mutex
	over   bool // the interface has ended
	record control.Record
	log    *os.File
	file   *headless.LogFile
	wait   func() (control.Set, error) // waits for the end of the kept tunnels; nil before begin
	stop   context.CancelFunc          // ends the kept tunnels
	reopen []screen.Kept
}

// keep is the function for screen.Options.Keep.
func (k *keeping) keep(_ context.Context, kept []screen.Kept) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return "", context.Canceled
	}
	if k.wait != nil { // keep was called before
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
	if err := k.begin(kept); err != nil { //nolint:contextcheck // kept tunnels outlive the interface, whose context that is
		return "", errors.Join(err, k.dir.Remove(k.record.Name))
	}
	return k.record.Name, nil
}

// free returns the first of the names that no set has.
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

// claim finds a free name, and writes the record of the kept set under it. It returns with the lock of that name.
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
		if _, err := k.dir.Read(name); err == nil { // another process has taken the name since
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

// accountOf is the account in which the sessions of a tunnel are.
func (k *keeping) accountOf(t *tunnel.Tunnel) control.Account {
	return k.app.shared.accountBehind(t.Spec().Client)
}

// accountBehind is the account of a client of the interface, so that another process can open it.
func (s *shared) accountBehind(c *aws.Client) control.Account {
	if s.demo {
		return s.own()
	}
	in := c.Shell()
	return recorded(control.Account{Profile: in.Profile, Region: in.Region, Role: in.Role, Token: in.TokenVariable, Endpoint: in.Endpoint, Named: s.endpointNamed && in.Endpoint != ""})
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
		login, _ := k.app.shared.loginOnScreen(one.User) // without a login the proof says that one is wanted
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

// after is called when the interface has ended, with what screen.Run has returned. name is the name of the set that goes on; empty
// for none.
func (k *keeping) after(name string, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if name == "" {
		if k.wait == nil {
			return err
		}
		k.stop()        // the interface has ended in another way after keep
		_, _ = k.wait() // the tunnels were told to end; how they have ended does not matter
		return errors.Join(err, k.dir.Remove(k.record.Name), k.log.Close(), k.file.Close())
	}
	if err != nil { // about tunnels that were not to be kept
		k.app.warn(err)
	}
	if k.wait == nil {
		return k.openAgain()
	}
	return k.hold()
}

// hold leaves the terminal and holds the kept tunnels until they end.
func (k *keeping) hold() error {
	defer k.stop()
	defer k.log.Close()  //nolint:errcheck // the process ends with it
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

// openAgain has culvert up open the tunnels that the interface has closed, each as a set of its own, as up takes one target.
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

// given returns the shared flags of the command line, except those that every tunnel gets from its own Kept.Flags, and those that
// up does not need.
func (s *shared) given() (flags []string) {
	own := []string{"profile", "region", "endpoint-url", "stream-endpoint", "role-arn", "demo", "probe", "keep-alive", "output", "refresh", "read-only"}
	s.set.Visit(func(f *pflag.Flag) {
		if !slices.Contains(own, f.Name) {
			flags = append(flags, "--"+f.Name+"="+f.Value.String())
		}
	})
	return flags
}
