package screen

import (
	"slices"
	"strconv"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// The forward dialog for a private destination: the form is filled in, and the user can choose among the ways to the destination.

// forwardRow opens the dialog for a private destination, or says why there can be no tunnel to it.
func forwardRow(s *survey, l hostRow, way int, readOnly bool) wish {
	l = s.upToDate(l)
	err := s.noWay(l)
	switch {
	case readOnly:
		return fail(&ReadOnlyError{})
	case l.secret != "":
		return tell(say.Line(l.Name) + " is set by secret " + say.Line(l.secret) + ": which host it names is not known")
	case err != nil:
		return fail(err)
	case !l.judged && s.trouble != nil:
		return fail(s.trouble)
	case !l.judged || way >= len(l.ways):
		return tell("the ways to " + say.Line(l.Name) + " are still being looked at")
	case l.Port != 0 && l.ways[way].Verdict == aws.NoRule:
		return fail(&aws.NoWayError{Host: l.Host, Ways: l.ways[way : way+1], Shell: s.routes.Catalog.Shell})
	}
	return forwardToHost(s, l, way)
}

// entry returns the browser's row for the service of a way.
func (s *survey) entry(w aws.Way) entry {
	return entryOf(s.routes.Catalog, tunnel.Spec{Target: aws.Target{Cluster: w.Cluster, Service: w.Service}})
}

// leadTo fills the form in for a private destination. Only a port that is not known is left to the user.
func (d *connect) leadTo(s *survey, l hostRow, way int) {
	d.survey, d.named = s, false
	for _, w := range l.ways {
		if w.Verdict != aws.NoRule || l.Port == 0 {
			d.ways = append(d.ways, w)
		}
	}
	names := make([]string, len(d.ways))
	for i, w := range d.ways {
		names[i] = wayName(w)
	}
	d.through = draw.NewField("through", "", names...)
	d.through.Free = false
	d.through.Set(wayName(l.ways[way]))
	d.host.Set(l.Host.Host)
	d.turned()
	d.port.Choice = nil
	d.port.Set("")
	if l.Port != 0 {
		d.port.Set(strconv.Itoa(int(l.Port)))
	}
	d.chosen = false
	d.propose()
	d.reroute()
	d.at = slices.Index(d.fields(), d.port)
}

func wayName(w aws.Way) string { return say.Line(w.Cluster + "/" + w.Service) }

// reroute takes the way that the user has chosen in the field.
func (d *connect) reroute() {
	at := slices.IndexFunc(d.ways, func(w aws.Way) bool { return wayName(w) == d.through.Value() })
	if at < 0 {
		return
	}
	w := d.ways[at]
	port := d.port.Value()
	d.aim(d.survey.entry(w))
	d.port.Choice, d.port.About = nil, ""
	d.port.Set(port)
	d.through.About = w.Verdict.String()
	if w.Why != "" {
		d.through.About += ": " + say.Line(w.Why)
	}
	d.serve()
	d.check()
}
