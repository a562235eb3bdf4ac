package film

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// Step is what somebody does at the terminal, and what comes of it.
type Step struct {
	Name  string         // of the moment when the screen shows Until; the caption from there on
	Keys  string         // typed first
	Until *regexp.Regexp // on the text of the screen; nil: the program has ended
	Again *regexp.Regexp // the keys are typed once more while the screen shows this: somebody else was quicker, say
	// Do is done by somebody else from then on, with what the group of Until has matched. The next step waits for it.
	Do   func(ctx context.Context, matched string) error
	Hold time.Duration // how long the screen is looked at then
	Fast float64       // how many times faster that passes in the film; 0 is once
}

// pace is how long it takes in the film from a key to its screen, whatever it took.
const pace = 700 * time.Millisecond

const (
	patient = 30 * time.Second       // how long a screen may take
	again   = 500 * time.Millisecond // how long keys may take that are typed again
	rest    = 150 * time.Millisecond // how long nothing comes when a frame is whole: a busy machine writes a long one in parts
)

// Play does the steps at a terminal that runs a program, and returns what it showed as a cast with a marker for every step.
// The times in it are the script's: waiting for a screen takes a fixed time in the film.
func Play(ctx context.Context, cmd *exec.Cmd, width, height uint16, steps []Step) (c Cast, err error) {
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: height, Cols: width})
	if err != nil {
		return Cast{}, fmt.Errorf("start %s on a terminal: %w", cmd.Path, err)
	}
	p := &player{
		Cast:   Cast{Width: int(width), Height: int(height), Title: "culvert"},
		ctx:    ctx,
		keys:   master,
		screen: NewTerminal(int(width), int(height), master),
		shown:  make(chan []byte),
		stop:   make(chan struct{}),
	}
	go p.read(master)
	defer func() {
		if !p.ended {
			_ = cmd.Process.Kill()
		}
		close(p.stop)
		_ = master.Close()
		p.screen.Close()
		if ended := cmd.Wait(); ended != nil && err == nil {
			err = fmt.Errorf("%s: %w", cmd.Path, ended)
		}
	}()
	for _, s := range steps {
		if err := p.play(s); err != nil {
			return p.Cast, fmt.Errorf("%q: %w, and the screen shows\n%s", s.Name, err, p.screen.Screen())
		}
	}
	if !p.ended {
		return p.Cast, errors.New("the steps are over, and the program runs")
	}
	return p.Cast, nil
}

// player is a film in the making.
type player struct {
	Cast

	ctx     context.Context //nolint:containedctx // of Play alone
	keys    io.Writer
	screen  *Terminal
	shown   chan []byte   // what the program writes; closed when it has ended
	stop    chan struct{} // nobody reads any more
	ended   bool
	now     time.Duration // in the film
	leaving bool          // the rest is the shell's, and no part of the film
	half    []byte        // the beginning of a letter whose rest is not there yet
}

// read takes what the program writes. The end of a terminal is an error of its own on every system.
func (p *player) read(master *os.File) {
	defer close(p.shown)
	for {
		buffer := make([]byte, 32<<10)
		n, err := master.Read(buffer)
		if n > 0 {
			select {
			case p.shown <- buffer[:n]:
			case <-p.stop:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *player) play(s Step) error {
	begun := p.now
	p.leaving = s.Until == nil
	if err := p.press(s.Keys); err != nil {
		return err
	}
	var matched []string
	wait := time.Now()
	pressed := wait
	for seen := p.seen(s.Until, &matched); !seen; seen = p.seen(s.Until, &matched) {
		if p.ended {
			return errors.New("the program has ended")
		}
		if s.Again != nil && time.Since(pressed) > again && s.Again.MatchString(p.screen.Screen().String()) {
			pressed = time.Now()
			if err := p.press(s.Keys); err != nil {
				return err
			}
		}
		err := p.watch(time.After(again), func() time.Duration { return begun + min(time.Since(wait), pace) })
		if err != nil && (!errors.Is(err, errLate) || time.Since(wait) > patient) {
			return err
		}
	}
	if s.Until == nil {
		return nil
	}
	if err := p.settle(func() time.Duration { return begun + pace }); err != nil {
		return err
	}
	p.now = begun + pace
	p.Events = append(p.Events, Event{p.now, Marker, s.Name})
	done := make(chan error, 1)
	if s.Do != nil {
		go func() { done <- s.Do(p.ctx, matched[len(matched)-1]) }()
	} else {
		done <- nil
	}
	err := p.hold(s)
	if wrong := <-done; err == nil {
		err = wrong
	}
	return err
}

// press types.
func (p *player) press(keys string) error {
	if _, err := io.WriteString(p.keys, keys); err != nil {
		return fmt.Errorf("type: %w", err)
	}
	return nil
}

// hold looks at the screen for a while.
func (p *player) hold(s Step) error {
	from, began, fast := p.now, time.Now(), max(s.Fast, 1)
	over := time.After(s.Hold)
	for !p.ended && time.Since(began) < s.Hold {
		err := p.watch(over, func() time.Duration { return from + time.Duration(float64(min(time.Since(began), s.Hold))/fast) })
		if err != nil && !errors.Is(err, errLate) {
			return err
		}
	}
	p.now = from + time.Duration(float64(s.Hold)/fast)
	return nil
}

// settle takes the rest of a frame whose first part has been seen: what comes until nothing comes for a moment.
func (p *player) settle(at func() time.Duration) error {
	for range 20 { // a screen that never rests is looked at as it is
		err := p.watch(time.After(rest), at)
		switch {
		case p.ended, errors.Is(err, errLate):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

var errLate = errors.New("it took too long")

// seen reports whether the screen shows something.
func (p *player) seen(re *regexp.Regexp, matched *[]string) bool {
	if re == nil {
		*matched = []string{""}
		return p.ended
	}
	*matched = re.FindStringSubmatch(p.screen.Screen().String())
	return *matched != nil
}

// watch takes what the program writes next, and notes it for that time of the film.
func (p *player) watch(late <-chan time.Time, at func() time.Duration) error {
	select {
	case b, more := <-p.shown:
		if !more {
			p.ended = true
			return nil
		}
		p.screen.Write(b)
		if !p.leaving {
			p.note(at(), b)
		}
	case <-late:
		return errLate
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	return nil
}

// note keeps what was written, in whole letters.
func (p *player) note(at time.Duration, b []byte) {
	b = append(p.half, b...)
	n := len(b)
	for back := 1; back < utf8.UTFMax && back <= n; back++ {
		if c := b[n-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[n-back:]) {
				n -= back
			}
			break
		}
	}
	p.half = append([]byte(nil), b[n:]...)
	p.now = max(p.now, at)
	p.Events = append(p.Events, Event{p.now, Output, string(b[:n])})
}
