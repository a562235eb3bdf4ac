package screen

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// The fields of the forward dialog are checked while they are typed: what is wrong with each, and the forward that they make.

// check says what is wrong, field by field.
func (d *connect) check() {
	for _, f := range d.fields() {
		f.Wrong = ""
	}
	if d.any {
		d.checkAny()
	} else {
		d.checkPort()
	}
	if probe := d.probe.Value(); probe != "" && d.checkProbe != nil {
		if err := d.checkProbe(probe); err != nil {
			d.probe.Wrong = say.Line(err.Error())
		}
	}
	if _, err := parseSpan(d.keepAlive.Value()); err != nil {
		d.keepAlive.Wrong = err.Error()
	}
	d.checkStart()
	if f, err := d.forward(); err == nil && f.Remote.LinkLocal() && !d.linkLocal {
		d.host.Wrong = "link-local: the task's metadata and credentials are there; the command line allows it with --allow-link-local"
	}
	if f, err := d.forward(); err == nil && f.Socket == "" && f.Local.Addr().IsValid() && !f.Local.Addr().IsLoopback() {
		d.local.Wrong = "not a loopback address: others could use the tunnel; the command line allows it with --bind " + f.Local.Addr().String()
	}
}

// checkPort says what is wrong with the fields of a tunnel to one port.
func (d *connect) checkPort() {
	if _, err := parsePort(d.port.Value()); err != nil {
		d.port.Wrong = err.Error()
	}
	if host := d.host.Value(); host != "" {
		d.host.Wrong = problemOf("1:" + bracketed(host) + ":1")
	}
	if local := d.local.Value(); local != "" {
		d.local.Wrong = cmp.Or(problemOf(local+":1"), d.taken)
	}
}

// parseSpan reads a time span; an empty text is 0, which is off.
func parseSpan(s string) (time.Duration, error) {
	if s == "" || s == "0" || s == "off" {
		return 0, nil
	}
	span, err := time.ParseDuration(s)
	if err != nil || span < time.Second {
		return 0, errors.New("a span of at least a second, such as 30s or 5m, or nothing")
	}
	return span, nil
}

// problemOf says what is wrong with a forward's form in which one field stands; empty when nothing is.
func problemOf(form string) string {
	_, err := tunnel.ParseForward(form)
	if bad, ok := errors.AsType[*tunnel.FormError](err); ok {
		return say.Line(bad.Problem)
	}
	return ""
}

func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// forward reads the forward from the form.
func (d *connect) forward() (tunnel.Forward, error) {
	if d.any {
		f, err := anywhere(cmp.Or(d.local.Value(), "0"), d.via, d.deny, d.most)
		if err == nil {
			f.Dynamic.Warm = d.warm
			if d.anyHost != nil {
				f.Dynamic.Wait = d.anyHost.Wait
			}
		}
		return f, err
	}
	parts := []string{cmp.Or(d.local.Value(), "0")}
	if host := d.host.Value(); host != "" {
		parts = append(parts, bracketed(host))
	}
	return tunnel.ParseForward(strings.Join(append(parts, d.port.Value()), ":"))
}

// valid reports whether the form can be used; the forward is what it says.
func (d *connect) valid() (tunnel.Forward, bool) {
	f, err := d.forward()
	if err != nil {
		return f, false
	}
	return f, !slices.ContainsFunc(d.fields(), func(f *draw.Field) bool { return f.Wrong != "" })
}
