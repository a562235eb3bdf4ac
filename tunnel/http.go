package tunnel

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxLine bounds the lines of a head, in bytes; after a longer line nothing more of that direction is read.
const maxLine = 8 << 10

// lines reads one direction of HTTP/1: it hands on the lines of heads and passes over bodies, of which it keeps nothing. Offsets
// count the bytes of the direction.
type lines struct {
	line   []byte // the beginning of a line whose end has not come
	skip   uint64 // bytes of a body that are still to be passed over
	at     uint64 // offset of the next byte
	began  uint64 // offset of the line that is being read
	head   uint64 // offset of the message that is being read
	part   part   // which kind of line comes next
	length uint64 // how long a body the head announces, in bytes
	sized  bool   // the head announces a length
	chunks bool   // the head announces a body in chunks
}

// part is which part of a message a line is.
type part int

const (
	startLine part = iota
	headerLine
	chunkLine
	chunkEnd
	trailerLine
)

// read hands the first line of each head to start and each header to field, and calls end at the end of a head. Each of the three
// reports whether to read on. read itself reports false when one of them did not, or what came is no HTTP/1.
func (l *lines) read(p []byte, start func(string) bool, field func(name, value string) bool, end func() bool) bool {
	for len(p) > 0 {
		if l.skip > 0 {
			n := min(l.skip, uint64(len(p)))
			l.skip -= n
			l.at += n
			p = p[n:]
			continue
		}
		if len(l.line) == 0 {
			l.began = l.at
		}
		n := bytes.IndexByte(p, '\n') + 1
		piece := p[:n]
		if n == 0 {
			piece = p
		}
		if len(l.line)+len(piece) > maxLine {
			l.line = nil
			return false
		}
		l.at += uint64(len(piece))
		p = p[len(piece):]
		if n == 0 {
			l.line = append(l.line, piece...)
			return true
		}
		if len(l.line) > 0 {
			piece = append(l.line, piece...)
		}
		line := string(bytes.TrimRight(piece, "\r\n"))
		l.line = nil
		if !l.next(line, start, field, end) {
			l.line = nil
			return false
		}
	}
	return true
}

// next takes one whole line, and reports whether to read on.
func (l *lines) next(line string, start func(string) bool, field func(name, value string) bool, end func() bool) bool {
	switch l.part {
	case startLine:
		if line == "" {
			return true // allowed between messages
		}
		l.head, l.part, l.length, l.sized, l.chunks = l.began, headerLine, 0, false, false
		return start(line)
	case headerLine:
		if line == "" {
			l.part = startLine
			return end()
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		return ok && l.measure(name, value) && field(name, value)
	case chunkLine:
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 62)
		if err != nil {
			return false
		}
		l.skip, l.part = n, chunkEnd
		if n == 0 {
			l.part = trailerLine
		}
	case chunkEnd:
		l.part = chunkLine
		return line == ""
	case trailerLine:
		if line == "" {
			l.part = startLine
		}
	}
	return true
}

// measure notes what a header says about the length of the body, and reports false when that cannot be read.
func (l *lines) measure(name, value string) bool {
	switch {
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(value, 10, 62)
		if err != nil || l.sized && n != l.length {
			return false
		}
		l.length, l.sized = n, true
	case strings.EqualFold(name, "Transfer-Encoding"):
		if !strings.HasSuffix(strings.ToLower(value), "chunked") {
			return false
		}
		l.chunks = true
	}
	return true
}

// body has read pass over the body that the head has announced. It reports whether the head has announced one.
func (l *lines) body() bool {
	switch {
	case l.chunks:
		l.part = chunkLine
	case l.sized:
		l.skip = l.length
	default:
		return false
	}
	return true
}

// requests reads the requests of an HTTP/1 client.
type requests struct {
	sniffer *sniffer
	lines   lines
	host    string  // of the request that is being read
	request request // likewise
	inner   *alerts // reads what follows a CONNECT once the proxy has connected
}

func (r *requests) read(p []byte) bool {
	if r.inner == nil && r.request.connect && r.connected() {
		r.inner = &alerts{sniffer: r.sniffer, by: "client"}
	}
	if r.inner != nil {
		return r.inner.read(p)
	}
	return r.lines.read(p, r.start, r.field, r.end)
}

func (r *requests) connected() bool {
	r.sniffer.mu.Lock()
	defer r.sniffer.mu.Unlock()
	return r.sniffer.talk.connected
}

func (r *requests) start(line string) bool {
	r.sniffer.mu.Lock()
	waiting := r.sniffer.talk.outstanding
	connecting := len(waiting) > 0 && waiting[len(waiting)-1].connect
	r.sniffer.mu.Unlock()
	var ok bool
	r.host, r.request, ok = requestLine(line)
	return ok && !connecting // what follows CONNECT before its answer is no request to the proxy
}

func (r *requests) field(name, value string) bool {
	if r.host == "" && strings.EqualFold(name, "Host") {
		r.host = clean(value)
	}
	return true
}

func (r *requests) end() bool {
	if !r.request.connect {
		r.lines.body()
	}
	s := r.sniffer
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host == "" && len(s.talk.shares) == 0 {
		s.host = r.host
	}
	return s.talk.ask(r.host, r.request, r.lines.head)
}

// requestLine reads the first line of a request; the host is empty where only the Host header names it.
func requestLine(line string) (host string, r request, ok bool) {
	words := strings.Split(line, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/1.") || !isMethod(words[0]) {
		return "", request{}, false
	}
	if words[0] == http.MethodConnect {
		return clean(words[1]), request{connect: true, proxied: true}, true
	}
	r.head = words[0] == http.MethodHead
	if target, err := url.Parse(words[1]); err == nil && target.Host != "" && target.Scheme != "" {
		host, r.proxied = clean(target.Host), true
	}
	return host, r, true
}

// answers reads the answers of an HTTP/1 server or proxy.
type answers struct {
	sniffer *sniffer
	lines   lines
	status  int
	code    string  // the proxy's own code for an error; empty when the answer has none
	inner   *alerts // reads what follows once a proxy has connected
}

func (a *answers) read(p []byte) bool {
	if a.inner != nil {
		return a.inner.read(p)
	}
	before := a.lines.at
	if a.lines.read(p, a.start, a.field, a.end) {
		return true
	}
	if a.inner != nil { // end has set it: this answer says that the proxy has connected
		return a.inner.read(p[a.lines.at-before:])
	}
	a.sniffer.mu.Lock()
	defer a.sniffer.mu.Unlock()
	a.sniffer.talk.hush()
	return false
}

func (a *answers) start(line string) bool {
	version, rest, _ := strings.Cut(line, " ")
	word, _, _ := strings.Cut(rest, " ")
	var err error
	a.status, err = strconv.Atoi(word)
	a.code = ""
	return err == nil && len(word) == 3 && a.status >= 100 && strings.HasPrefix(version, "HTTP/1.")
}

func (a *answers) field(name, value string) bool {
	if strings.EqualFold(name, "X-Squid-Error") {
		value, _, _ = strings.Cut(value, " ") // behind the code stands an error number of the system
		a.code = clean(value)
	}
	if a.sniffer.front && strings.EqualFold(name, "Proxy-Status") { // culvert's own proxy, see front.Server
		if value, ok := strings.CutPrefix(value, "culvert; error="); ok {
			value, _, _ = strings.Cut(value, ";")
			a.code = clean(value)
		}
	}
	return true
}

func (a *answers) end() bool {
	s := a.sniffer
	if a.status < 200 && a.status != http.StatusSwitchingProtocols {
		return true // the answer itself is still to come
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.talk.status = a.status
	r, ok := s.talk.answer(a.lines.head)
	// A refusal is the proxy's own answer, not one of the server behind it: either a code says so, or CONNECT has not reached a
	// server yet.
	refused := r.connect && a.status >= http.StatusMultipleChoices || r.proxied && a.status >= http.StatusBadRequest && a.code != ""
	if ok && refused {
		share := &s.talk.shares[r.share]
		share.Failed++
		if share.Err == nil {
			refusal := &AnswerError{Protocol: s.protocol, Status: a.status, Code: a.code, Host: share.Host}
			share.Err = refusal
			s.refusal = cmp.Or(s.refusal, refusal)
		}
	}
	switch {
	case !ok:
		return false
	case r.connect && a.status < http.StatusMultipleChoices:
		s.talk.connected, a.inner = true, &alerts{sniffer: s, by: "server"}
		return false
	case a.status == http.StatusSwitchingProtocols:
		s.stage.Store(deaf) // what follows is another protocol
		return false
	case r.head, a.status == http.StatusNoContent, a.status == http.StatusNotModified:
		return true
	}
	return a.lines.body() // a body without a length lasts until the end of the connection: nothing more is to be read
}
