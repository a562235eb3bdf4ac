package front

import (
	"fmt"
	"net/http"
	"strings"

	"culvert/internal/say"
)

// verdict is how a cause is told to the clients of each protocol.
type verdict struct {
	status int    // the HTTP status
	kind   string // the error in Proxy-Status, from the registry of RFC 9209
	reply  byte   // the reply of SOCKS 5 (RFC 1928, 6)
}

// The replies of SOCKS 5 that are used here.
const (
	replyGranted     = 0
	replyFailure     = 1
	replyForbidden   = 2
	replyNoNetwork   = 3
	replyNoHost      = 4
	replyRefused     = 5
	replyExpired     = 6
	replyNoCommand   = 7
	replyNoAddresses = 8
)

func (c Cause) verdict() verdict {
	switch c {
	case CauseUnknown:
		return verdict{http.StatusBadGateway, "proxy_internal_error", replyFailure}
	case CauseRefused:
		return verdict{http.StatusBadGateway, "connection_refused", replyRefused}
	case CauseSwallowed:
		return verdict{http.StatusGatewayTimeout, "connection_timeout", replyExpired}
	case CauseUnresolved:
		return verdict{http.StatusBadGateway, "dns_error", replyNoHost}
	case CauseForbidden:
		return verdict{http.StatusBadGateway, "proxy_configuration_error", replyForbidden}
	case CauseNoTask:
		return verdict{http.StatusServiceUnavailable, "destination_unavailable", replyNoNetwork}
	case CauseFull:
		return verdict{http.StatusServiceUnavailable, "connection_limit_reached", replyFailure}
	case CauseLate:
		return verdict{http.StatusGatewayTimeout, "destination_unavailable", replyFailure}
	case CauseClosing:
		return verdict{http.StatusServiceUnavailable, "destination_unavailable", replyFailure}
	case CauseEnded:
		return verdict{http.StatusBadGateway, "connection_terminated", replyFailure}
	case CauseDenied, CauseOwn:
		return verdict{http.StatusForbidden, "http_request_denied", replyForbidden}
	case CauseLocal:
		return verdict{http.StatusForbidden, "destination_ip_prohibited", replyForbidden}
	case CauseMalformed:
		return verdict{http.StatusBadRequest, "http_request_error", replyFailure}
	}
	return CauseUnknown.verdict()
}

// maxDetails bounds the details in a Proxy-Status, in bytes, as clients bound the heads of answers.
const maxDetails = 1024

// proxyStatus returns the value of a Proxy-Status field (RFC 9209, 2).
func proxyStatus(kind string, err error) string {
	details := say.Line(err.Error())
	if remedy := say.Remedy(err); remedy != "" {
		details += "; " + say.Line(remedy)
	}
	return fmt.Sprintf("culvert; error=%s; details=%s", kind, structured(details))
}

// structured returns a text as a String of RFC 8941, 3.3.3, which has only ASCII characters.
func structured(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.NewReplacer("…", "...", "→", "->", "–", "-", "’", "'").Replace(text) {
		switch {
		case b.Len() >= maxDetails:
			b.WriteString(`..."`)
			return b.String()
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// refuse answers a request with an error: text and remedy as a body for people, and as a Proxy-Status for programs.
func refuse(w http.ResponseWriter, status int, kind string, err error) {
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff") // a browser takes the answer for a page of the host that was asked for
	h.Set("Cache-Control", "no-store")
	h.Set("Proxy-Status", proxyStatus(kind, err))
	text := "culvert: " + say.Line(err.Error()) + "\n"
	if remedy := say.Remedy(err); remedy != "" {
		text += "remedy: " + say.Line(remedy) + "\n"
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) //nolint:gosec // plain text, which no browser takes for more; the client may be gone
}

// refuseFor is refuse for an error that has a cause.
func refuseFor(w http.ResponseWriter, err error) {
	v := CauseOf(err).verdict()
	refuse(w, v.status, v.kind, err)
}
