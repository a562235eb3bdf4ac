package screen

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// The forward dialog for a tunnel to any host: its field for the remote host says so, and other fields stand instead of those
// about a port.

// anyHost is what the field of the remote host says for a tunnel to any host.
const anyHost = "any host"

// proxyLocal is the local port that is proposed for a tunnel to any host, the usual one in examples of ssh -D.
const proxyLocal = "1080"

// mostDestinations is how many destinations at a time can be asked for at the most, as with --destinations: each costs a task a
// session.
const mostDestinations = 1000

func (d *connect) toAny() bool { return d.host.Value() == anyHost }

// anyFields are the fields of a tunnel to any host.
func anyFields() (via, deny, most *draw.Field) {
	via = draw.NewField("via", "everything goes through the task")
	via.About = "as *.internal 10.0.0.0/8; the rest goes from this machine"
	deny = draw.NewField("deny", "nothing is refused")
	deny.About = "patterns like those of via"
	most = draw.NewField("destinations", strconv.Itoa(tunnel.DefaultDestinations))
	most.About = "at a time; each is a session of a task"
	via.Long()
	deny.Long()
	return via, deny, most
}

// leadAnywhere makes the dialog one for a tunnel to any host.
func (d *connect) leadAnywhere() {
	d.host.Set(anyHost)
	d.turned()
	d.at = slices.Index(d.fields(), d.via)
}

// setAny fills the fields of a tunnel to any host.
func (d *connect) setAny(of *tunnel.Dynamic) {
	d.warm = of.Warm
	setAny(of, d.via, d.deny, d.most)
}

func setAny(of *tunnel.Dynamic, via, deny, most *draw.Field) {
	via.Set(strings.Join(forms(of.Via), " "))
	deny.Set(strings.Join(forms(of.Deny), " "))
	most.Set("")
	if n := of.Destinations; n > 0 && n != tunnel.DefaultDestinations {
		most.Set(strconv.Itoa(n))
	}
}

// turned switches the fields when the field of the remote host has begun to say any host, or no longer does.
func (d *connect) turned() {
	if d.any == d.toAny() {
		return
	}
	d.any = d.toAny()
	d.propose()
	d.serve()
	d.check()
}

// retyped takes what is left of the words for any host out of the field when the user types or deletes in them.
func (d *connect) retyped(msg tea.Msg) {
	if _, pressed := msg.(tea.KeyPressMsg); !pressed || !d.any {
		return
	}
	if rest, ok := strings.CutPrefix(d.host.Value(), anyHost); ok {
		d.host.Set(strings.TrimSpace(rest))
	} else if strings.HasPrefix(anyHost, d.host.Value()) {
		d.host.Set("")
	}
}

// anywhere reads the forward from the fields of a tunnel to any host. An error about the local side comes before others.
func anywhere(local string, via, deny, most *draw.Field) (tunnel.Forward, error) {
	f, err := tunnel.ParseDynamic(local)
	if err != nil {
		return f, err
	}
	var wrong [3]error
	f.Dynamic.Via, wrong[0] = patterns(words(via))
	f.Dynamic.Deny, wrong[1] = patterns(words(deny))
	f.Dynamic.Destinations, wrong[2] = destinations(most.Value())
	return f, errors.Join(wrong[:]...)
}

// destinations reads how many destinations there may be at a time; an empty text is 0, which means the default.
func destinations(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostDestinations {
		return 0, fmt.Errorf("a number from 1 to %s", draw.Thousands(mostDestinations))
	}
	return n, nil
}

// checkAny says what is wrong with the fields of a tunnel to any host.
func checkAny(via, deny, most *draw.Field) {
	problem := func(err error) string {
		if err == nil {
			return ""
		}
		return say.Line(err.Error())
	}
	_, err := patterns(words(via))
	via.Wrong = problem(err)
	_, err = patterns(words(deny))
	deny.Wrong = problem(err)
	_, err = destinations(most.Value())
	most.Wrong = problem(err)
}

// checkAny says what is wrong with a tunnel to any host.
func (d *connect) checkAny() {
	checkAny(d.via, d.deny, d.most)
	if local := d.local.Value(); local != "" {
		_, err := tunnel.ParseDynamic(local)
		if bad, ok := errors.AsType[*tunnel.FormError](err); ok {
			d.local.Wrong = say.Line(bad.Problem)
		}
		d.local.Wrong = cmp.Or(d.local.Wrong, d.taken)
	}
}
