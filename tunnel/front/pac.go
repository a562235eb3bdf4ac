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

// pacPath is where the PAC file is.
const pacPath = "/proxy.pac"

//go:embed pac.js
var pacScript string

// servePAC answers with the PAC file that leads to the name by which it was asked for.
func (s *Server) servePAC(w http.ResponseWriter, r *http.Request) {
	at, port, _ := parseAuthority(r.Host, 80) // foreign has read it
	text := s.options.Rules.PAC(authority(at, port))
	h := w.Header()
	h.Set("Content-Type", "application/x-ns-proxy-autoconfig")
	h.Set("X-Content-Type-Options", "nosniff") // no page can run it as its script, and learn the names of hosts
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write([]byte(text)) // the client may be gone
}

// PAC is a proxy auto-config file that says the same as the rules, with a proxy at HOST:PORT: what goes through the task or is
// refused goes to the proxy, the rest directly, and so does what is loopback or link-local. Nothing in it looks a name up.
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

// octets are those of a prefix as numbers: a []byte would be base64.
func octets(p netip.Prefix) []int {
	var all []int
	for _, b := range p.Addr().AsSlice() {
		all = append(all, int(b))
	}
	return all
}

// literal is a value as a script has it. What is in it has no characters of which JSON and scripts think differently.
func literal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return string(text)
}
