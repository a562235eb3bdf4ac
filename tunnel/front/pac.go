package front

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"culvert/internal/address"
)

// pacPath is the path of the PAC file.
const pacPath = "/proxy.pac"

//go:embed pac.js
var pacScript string

// servePAC answers with a PAC file that names the proxy as the request has named it.
func (s *Server) servePAC(w http.ResponseWriter, r *http.Request) {
	at, port, _ := parseAuthority(r.Host, 80) // no error: foreign has read it before
	text := s.options.Rules.PAC(authority(at, port))
	h := w.Header()
	h.Set("Content-Type", "application/x-ns-proxy-autoconfig")
	h.Set("X-Content-Type-Options", "nosniff") // so that no page can run the file as a script, and learn the names of hosts
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write([]byte(text)) // the client may be gone
}

// PAC returns a proxy auto-config file that says the same as the rules, for the proxy at HOST:PORT: hosts that go through the
// task or are refused go to the proxy; all others go directly, as do loopback and link-local ones. The script in it looks up no
// names.
func (r Rules) PAC(proxy string) string {
	type block [3]any
	var translations, local []block
	for _, t := range address.Translations() {
		translations = append(translations, block{octets(t.Prefix), t.Prefix.Bits(), t.At})
	}
	for _, p := range address.Local() {
		local = append(local, block{octets(p), p.Bits(), p.Addr().BitLen() / 8})
	}
	patterns := func(all []Pattern) []block {
		described := []block{}
		for _, p := range all {
			if p.prefix.IsValid() {
				described = append(described, block{octets(p.prefix), p.prefix.Bits(), p.port})
			} else {
				described = append(described, block{p.glob, p.below, p.port})
			}
		}
		return described
	}
	return strings.NewReplacer(
		"$VIA", literal(patterns(r.via)),
		"$DENY", literal(patterns(r.deny)),
		"$TRANSLATIONS", literal(translations),
		"$LOOPBACKNAMES", literal(address.LoopbackNames()),
		"$LOCAL", literal(local),
		"$PROXY", literal("PROXY "+proxy),
	).Replace(pacScript)
}

// octets returns the bytes of a prefix's address as numbers; JSON would have a []byte as base64.
func octets(p netip.Prefix) []int {
	var all []int
	for _, b := range p.Addr().AsSlice() {
		all = append(all, int(b))
	}
	return all
}

// literal returns a value as a literal of the script, in JSON. The values have no characters that mean something else in a
// script.
func literal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // never: there are only strings and numbers
	}
	return string(text)
}
