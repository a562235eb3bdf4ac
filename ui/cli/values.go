package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/headless"
)

// The types of flags whose values are more than text. Each parses a value from every source alike, and prints the default for
// --help.

// choiceValue is a flag whose value is one of a few words.
type choiceValue struct {
	chosen  *string
	choices []string
}

func (v choiceValue) String() string {
	if v.chosen == nil {
		return ""
	}
	return *v.chosen
}

func (v choiceValue) Type() string { return strings.Join(v.choices, "|") }

func (v choiceValue) Set(s string) error {
	if slices.Contains(v.choices, s) {
		*v.chosen = s
		return nil
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(v.choices, ", "))
}

// probeValue is a kind of probe, the name of a protocol or a URL; the zero value chooses by the remote port.
type probeValue struct{ headless.Probe }

// probeWords returns the words for --probe with their probes: first those for kinds of probes, then those for protocols.
func probeWords() (words []string, probes map[string]headless.Probe) {
	probes = map[string]headless.Probe{}
	for _, k := range []struct {
		word string
		kind headless.ProbeKind
	}{{"none", headless.ProbeNone}, {"tcp", headless.ProbeTCP}, {"auto", headless.ProbeAuto}, {"http", headless.ProbeHTTP}, {"http-proxy", headless.ProbeProxy}} {
		words, probes[k.word] = append(words, k.word), headless.Probe{Kind: k.kind}
	}
	for _, name := range doctor.ProtocolNames() {
		if _, taken := probes[name]; !taken {
			protocol, _ := doctor.ByName(name) // a name of ProtocolNames is always found
			words, probes[name] = append(words, name), headless.Probe{Kind: headless.ProbeProtocol, Protocol: protocol}
		}
	}
	return words, probes
}

func (v *probeValue) Type() string {
	words, _ := probeWords()
	return strings.Join(append(words, "URL"), "|")
}

func (v *probeValue) String() string {
	switch v.Kind {
	case headless.ProbeAuto: // the default
		return ""
	case headless.ProbeURL:
		return v.URL.String()
	case headless.ProbeNone, headless.ProbeTCP, headless.ProbeHTTP, headless.ProbeProxy, headless.ProbeProtocol:
	}
	words, probes := probeWords()
	return words[slices.IndexFunc(words, func(word string) bool { return probes[word] == v.Probe })]
}

func (v *probeValue) Set(s string) error {
	words, probes := probeWords()
	if s == "mariadb" {
		s = "mysql"
	}
	if probe, ok := probes[s]; ok {
		v.Probe = probe
		return nil
	}
	u, err := url.Parse(s)
	if err == nil && u.User != nil || err != nil && strings.Contains(s, "@") {
		return errors.New("a URL with a user name or a password is not fetched: neither would be sent, and others could read it")
	}
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%q is neither %s nor an http(s) URL", s, strings.Join(words, ", "))
	}
	v.Probe = headless.Probe{Kind: headless.ProbeURL, URL: u}
	return nil
}

// lanesValue is auto (0) or a number of sessions.
type lanesValue int

const maxLanes = 64

func (v *lanesValue) Type() string { return "auto|N" }

func (v *lanesValue) String() string {
	if *v == 0 {
		return "auto"
	}
	return strconv.Itoa(int(*v))
}

func (v *lanesValue) Set(s string) error {
	if s == "auto" {
		*v = 0
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLanes {
		return fmt.Errorf("%q is neither auto nor a number from 1 to %d", s, maxLanes)
	}
	*v = lanesValue(n)
	return nil
}

// sizeValue is the size of a message: auto (tunnel.AutoMessageSize) or a number of bytes.
type sizeValue struct{ size *int }

func (v sizeValue) Type() string { return "auto|BYTES" }

func (v sizeValue) String() string {
	switch {
	case v.size == nil:
		return "0"
	case *v.size == tunnel.AutoMessageSize:
		return "auto"
	}
	return strconv.Itoa(*v.size)
}

func (v sizeValue) Set(s string) error {
	if s == "auto" {
		*v.size = tunnel.AutoMessageSize
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < tunnel.MinMessageSize || n > tunnel.MaxMessageSize {
		return fmt.Errorf("%q is neither auto nor a number from %d to %d", s, tunnel.MinMessageSize, tunnel.MaxMessageSize)
	}
	*v.size = n
	return nil
}

// bytesValue is a flag whose value is a number within bounds.
type bytesValue struct {
	n           *int
	least, most int
	unit        string
}

func (v bytesValue) Type() string { return v.unit }

func (v bytesValue) String() string {
	if v.n == nil {
		return "0"
	}
	return strconv.Itoa(*v.n)
}

func (v bytesValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.least || n > v.most {
		return fmt.Errorf("%q is not a number from %d to %d", s, v.least, v.most)
	}
	*v.n = n
	return nil
}

// portValue is a flag whose value is a port; some such flags admit 0.
type portValue struct {
	port  *uint16
	least int
}

func (v portValue) Type() string { return "PORT" }

func (v portValue) String() string {
	if v.port == nil {
		return "0"
	}
	return strconv.Itoa(int(*v.port))
}

func (v portValue) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || int(n) < v.least {
		return fmt.Errorf("%q is not a port from %d to 65535", s, v.least)
	}
	*v.port = uint16(n)
	return nil
}

// addrValue is an IP address to listen on.
type addrValue struct{ netip.Addr }

func (v *addrValue) Type() string { return "ADDR" }

func (v *addrValue) String() string {
	if !v.IsValid() {
		return ""
	}
	return v.Addr.String()
}

func (v *addrValue) Set(s string) error {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil || a.Zone() != "" {
		return fmt.Errorf("%q is not an IP address", s)
	}
	v.Addr = a.Unmap()
	return nil
}

// durationValue is a duration; a bare number is seconds.
type durationValue struct{ d *time.Duration }

func (v durationValue) Type() string { return "duration" }

func (v durationValue) String() string {
	if v.d == nil || *v.d == 0 {
		return "0"
	}
	return v.d.String()
}

func (v durationValue) Set(s string) error {
	unit := ""
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		unit = "s"
	}
	d, err := time.ParseDuration(s + unit)
	if err == nil {
		*v.d = d
	}
	return err
}

// levelValue is a flag for the least level that is logged.
type levelValue struct{ slog.Level }

func (v *levelValue) Type() string   { return "debug|info|warn|error" }
func (v *levelValue) String() string { return strings.ToLower(v.Level.String()) }

func (v *levelValue) Set(s string) error {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(s, l.String()) {
			v.Level = l
			return nil
		}
	}
	return fmt.Errorf("%q is not one of debug, info, warn, error", s)
}

// targetValue is a flag for a target in one word.
type targetValue struct{ aws.Target }

func (v *targetValue) Type() string   { return "CLUSTER/SERVICE[/[TASK][/CONTAINER]]" }
func (v *targetValue) String() string { return v.Target.String() }

func (v *targetValue) Set(s string) (err error) {
	v.Target, err = aws.ParseTarget(s)
	return err
}
