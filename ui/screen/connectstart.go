package screen

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// The forward dialog when something is to be started for the tunnel: a service that is scaled to zero, or a task of its own
// instead of one of the service's tasks.

// What the field about starting says.
const (
	startService = "the service"
	startTask    = "a task"
	yes          = "yes"
)

// startFields are the fields of a tunnel to what is started for it.
type startFields struct {
	start, definition, ttl, share *draw.Field
	family                        string // the task definition's family that is run where the user names none; empty: nothing can be started
}

func newStartFields(family string) startFields {
	f := startFields{
		start:      draw.NewField("start", "nothing: what is there is used", "", startService, startTask),
		definition: draw.NewField("definition", family),
		ttl:        draw.NewField("ttl", brief(aws.UsualTTL)),
		share:      draw.NewField("share", "no: it is this tunnel's own", "", yes),
		family:     family,
	}
	f.start.Free, f.share.Free = false, false
	f.definition.About = "FAMILY, FAMILY:REVISION or ARN of the task definition"
	return f
}

// startable reports whether something can be started where the form leads: a service's task, or the service itself.
func (d *connect) startable() bool {
	e := d.entry
	return d.starting.family != "" && e.service != nil && e.service.Name != "" && e.task == nil && e.container == nil
}

// startLines returns the fields about what is started that matter now.
func (d *connect) startLines() []*draw.Field {
	f := &d.starting
	switch {
	case !d.startable():
		return nil
	case f.start.Value() == startTask:
		return []*draw.Field{f.start, f.definition, f.ttl, f.share}
	case f.start.Value() == startService:
		return []*draw.Field{f.start, f.ttl}
	}
	return []*draw.Field{f.start}
}

// turnedStart proposes values when the user has chosen what to start: a task like those of the service.
func (d *connect) turnedStart() {
	f := &d.starting
	f.start.About, f.ttl.About, f.share.About = "", "", ""
	switch f.start.Value() {
	case startService:
		f.start.About = "scaled up from zero, and down again"
		f.ttl.About = "after which it counts as a user no longer"
	case startTask:
		f.start.About = "where the service's run, stopped at the end"
		f.ttl.About = "after which it ends by itself, 1m to 12h"
		f.share.About = "others of yours use it too, or it is one of theirs"
		f.definition.Choice = []string{f.family}
		if own := familyOf(d.entry.service.TaskDefinition); own != "" && own != f.family {
			f.definition.Choice = []string{own, f.family}
		}
		if f.definition.Value() == "" {
			f.definition.Set(f.definition.Choice[0])
		}
	}
	d.check()
}

// familyOf returns the family in the ARN of a task definition.
func familyOf(arn string) string {
	family, _, _ := strings.Cut(arn[strings.LastIndexByte(arn, '/')+1:], ":")
	return say.Line(family)
}

// setStart fills the fields with what was started for a tunnel.
func (d *connect) setStart(o *onDemand) {
	if o == nil || !d.startable() {
		return
	}
	f := &d.starting
	f.start.Set(startService)
	if o.Definition != "" {
		f.start.Set(startTask)
		f.definition.Set(o.Definition)
	}
	if o.TTL != aws.UsualTTL {
		f.ttl.Set(brief(o.TTL))
	}
	if o.Share {
		f.share.Set(yes)
	}
	d.turnedStart()
}

// parseTTL reads after which time a task ends by itself; an empty text is the default.
func parseTTL(text string) (time.Duration, error) {
	if text == "" {
		return aws.UsualTTL, nil
	}
	ttl, err := time.ParseDuration(text)
	if err != nil || aws.CheckTTL(ttl) != nil {
		return 0, errors.New("whole seconds from 1m to 12h, such as 90m")
	}
	return ttl, nil
}

// checkStart says what is wrong with the fields about what is started.
func (d *connect) checkStart() {
	f := &d.starting
	if _, err := parseTTL(f.ttl.Value()); err != nil {
		f.ttl.Wrong = err.Error()
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_:/", r)
	}
	if strings.ContainsFunc(f.definition.Value(), func(r rune) bool { return !plain(r) }) {
		f.definition.Wrong = "letters, digits, - and _ : FAMILY, FAMILY:REVISION or an ARN"
	}
}

// order returns what is to be started, as the form says; nil for nothing.
func (d *connect) order() *onDemand {
	f := &d.starting
	if !d.startable() || f.start.Value() == "" {
		return nil
	}
	o := &onDemand{Order: aws.Order{Cluster: d.to.Cluster, Service: d.to.Service}}
	o.TTL, _ = parseTTL(f.ttl.Value())
	if f.start.Value() == startTask {
		o.Definition, o.Share = cmp.Or(f.definition.Value(), f.family), f.share.Value() == yes
	}
	if d.named && len(d.containers) > 1 {
		o.container = d.container.Value()
	}
	return o
}

// startHead says what becomes of what is started, or that something can be started; empty where neither applies.
func (d *connect) startHead() string {
	o := d.order()
	switch {
	case o != nil && o.Definition != "":
		return "starts a task of " + say.Line(o.Definition) + ", and stops it with the tunnel"
	case o != nil:
		return "scales the service up from zero, and down when its last user leaves"
	case d.startable() && d.entry.service.Desired == 0 && d.entry.tasks == 0 && d.place.knows(d.tasks()):
		return "! the service is scaled to zero: start, below, has it run for the tunnel"
	}
	return ""
}

// openStarted opens the tunnel and closes the dialog: starting something takes long, and the tunnel's row tells how far it is.
func (d *connect) openStarted(w wanted) wish {
	w.spec.Target = w.order.target()
	return all(dismiss(d), goBelow(), d.tunnels.begun(w))
}
