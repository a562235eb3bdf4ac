package screen

import (
	"cmp"
	"errors"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("a port is a number from 1 to 65535")
	}
	return uint16(n), nil
}

// unprivileged is a port that everybody may listen on, like 8080 for 80.
func unprivileged(port int) int {
	if port < 1024 {
		return port + 8000
	}
	return port
}

// askFree finds out whether the local side can be listened on. A proposal that cannot gives way to another.
func (d *connect) askFree() wish {
	d.local.About, d.taken = "", ""
	f, err := d.forward()
	if d.any { // whatever is still to be mended in its patterns
		f, err = tunnel.ParseDynamic(cmp.Or(d.local.Value(), "0"))
	}
	if err != nil {
		d.asked++
		return nil
	}
	ask := d.otherPort(f)
	return beside(func() tea.Msg {
		tell := ask()
		return then(func() wish {
			tell()
			return nil
		})
	})
}

// otherPort is the question whether the local side of a forward can be listened on, to be asked beside the event loop, and
// what the dialog does with the answer, in the event loop. An answer that is late, as the local side was changed, is not used.
func (d *connect) otherPort(f tunnel.Forward) func() func() {
	d.asked++
	number, proposed := d.asked, !d.chosen
	spec := f.Spec(aws.Target{})
	return func() func() {
		if f.Socket != "" || f.Local.Port() == 0 {
			return func() {}
		}
		free, taken := freePort(spec, proposed)
		return func() {
			if number == d.asked {
				d.told(free, taken)
			}
		}
	}
}

// tries is how many ports after a taken one are tried for a proposal.
const tries = 20

// freePort is a port to listen on, and why the one asked for is not it. Only a proposal moves on to the next ports. A unix
// socket is not tried: that would remove a stale one while somebody still types.
func freePort(spec tunnel.Spec, proposed bool) (port uint16, taken error) {
	port = spec.Local.Port()
	if spec.Socket != "" {
		return port, nil
	}
	taken = spec.Listenable()
	if taken == nil || !proposed {
		return port, taken
	}
	for range tries {
		if port == 65535 {
			break
		}
		port++
		spec.Local = addrPort(spec, port)
		if spec.Listenable() == nil {
			return port, taken
		}
	}
	return 0, taken
}

// told takes in whether the local side is free.
func (d *connect) told(port uint16, taken error) {
	switch {
	case taken == nil:
		d.local.About = "free"
	case d.chosen:
		d.local.About = ""
		d.taken = say.Line(taken.Error())
		d.check()
	case port == 0:
		d.local.Set("")
		d.local.About = say.Line(taken.Error())
	default:
		d.local.Set(strconv.Itoa(int(port)))
		d.local.About = "free; " + say.Line(taken.Error())
	}
}
