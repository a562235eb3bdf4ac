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

// unprivileged returns a port on which every user may listen, such as 8080 for 80.
func unprivileged(port int) int {
	if port < 1024 {
		return port + 8000
	}
	return port
}

// askFree finds out whether the local side can be listened on. A proposal that cannot be is replaced by another.
func (d *connect) askFree() wish {
	d.local.About, d.taken = "", ""
	f, err := d.forward()
	if d.any { // even if the patterns of the form are still wrong
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

// otherPort returns a function that finds out whether the local side of a forward can be listened on, to be run beside the event
// loop, and that returns what the dialog does with the answer, in the event loop. An answer about a local side that was changed
// meanwhile is dropped.
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

// freePort returns a port to listen on, and why that is not the one asked for. Only for a proposal the next ports are tried. A
// unix socket is not tried: that would remove a stale one while somebody still types.
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

// told handles the answer whether the local side is free.
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
