package tunnel

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxLine bounds the lines of a head; after a longer one nothing more of its direction is understood.
const maxLine = 8 << 10

// lines reads one direction of HTTP/1: it hands on the lines of heads and passes over bodies, of which it keeps nothing.
type lines struct {
	line   []byte // what there is of a line whose end has not come
	skip   uint64 // bytes of a body to pass over
	at     uint64 // offset of the next byte
	began  uint64 // offset of the line that is being read
	head   uint64 // offset of the message
	part   part
	length uint64 // of the body that the head announces
	sized  bool   // it announces one
	chunks bool   // in chunks
}

// part is where in a message a line stands.
type part int

const (
	startLine part = iota
	headerLine
	chunkLine
	chunkEnd
	trailerLine
)

// read hands lines to start (the first of a head), field (one header) and end (of a head). Each reports whether it was
// understood; when one was not, the direction is over.
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

// next takes a whole line.
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

// measure notes what a header says about the length of the body.
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

// body passes over the body that the head has announced. It reports whether it has announced one.
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

// requests follows what a client of HTTP/1 asks for.
type requests struct {
	sniffer *sniffer
	lines   lines
	host    string
	request request
	inner   *alerts // once a proxy has connected
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

// requestLine reads the first line of a request; the host is empty where its header names it.
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

// answers follows what the far side of HTTP/1 answers.
type answers struct {
	sniffer *sniffer
	lines   lines
	status  int
	code    string  // the proxy's own word for an error
	inner   *alerts // once a proxy has connected
}

func (a *answers) read(p []byte) bool {
	if a.inner != nil {
		return a.inner.read(p)
	}
	before := a.lines.at
	if a.lines.read(p, a.start, a.field, a.end) {
		return true
	}
	if a.inner != nil { // by this answer
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
		value, _, _ = strings.Cut(value, " ") // behind it is a number of the system
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
	// A proxy's own answer, not one of the server behind it: it says so itself, or there is no server yet.
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
	return a.lines.body() // without a length it lasts until the end of the connection
}
