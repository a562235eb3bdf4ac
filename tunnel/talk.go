package tunnel

import "slices"

const (
	// maxShares bounds the hosts of one connection that are told apart; the others have one Share together.
	maxShares = 400
	// maxOutstanding bounds the requests of one connection that wait for their answers.
	maxOutstanding = 1000
	// OtherHosts is the host of a Share that stands for all hosts beyond the bound.
	OtherHosts = "(other hosts)"
)

// Share is what went to one host over a connection that was used for several.
type Share struct {
	Host           string
	Requests       uint64
	Failed         uint64 // requests that the proxy itself refused; where the connection failed and no request did, that counts as one
	Sent, Received uint64
	Err            error // the error of the first failure that Failed counts; nil for none
}

// talk adds up the requests of a connection by host. Bytes are counted for the host of the request or answer that they are a part
// of; bytes of a request or answer whose beginning was not recognized count for the last one before.
type talk struct {
	shares      []Share
	outstanding []request // requests without an answer so far, oldest first
	unheard     bool      // answers are not read, or not any more
	status      int       // HTTP status of the last answer; 0 for none
	connected   bool      // a proxy has connected, by CONNECT or SOCKS: what follows is another protocol
	sent, got   mark      // for the two directions
}

// mark says to which share the bytes of a direction belong at present, and from which offset on.
type mark struct {
	share int
	from  uint64
}

// request is what is known of a request until its answer comes.
type request struct {
	share   int  // of the request's host, in talk.shares
	connect bool // its method is CONNECT
	head    bool // its method is HEAD, so that the answer has no body
	proxied bool // it was sent to a proxy: in absolute form, or CONNECT
}

// ask notes a request whose first byte is at the offset at. It reports false when too many requests wait for their answers.
func (t *talk) ask(host string, r request, at uint64) bool {
	if len(t.outstanding) >= maxOutstanding {
		return false
	}
	r.share = slices.IndexFunc(t.shares, func(s Share) bool { return s.Host == host })
	if r.share < 0 {
		if len(t.shares) >= maxShares {
			host = OtherHosts
		}
		if r.share = len(t.shares); r.share > maxShares {
			r.share = maxShares
		} else {
			t.shares = append(t.shares, Share{Host: host})
		}
	}
	t.shares[r.share].Requests++
	if t.sent.share != r.share {
		t.shares[t.sent.share].Sent += at - t.sent.from
		t.sent = mark{r.share, at}
	}
	if !t.unheard {
		t.outstanding = append(t.outstanding, r)
	}
	return true
}

// hush says that no more answers will be read.
func (t *talk) hush() { t.unheard, t.outstanding = true, nil }

// answer returns the request to which an answer belongs whose first byte is at the offset at. It reports whether there is one.
func (t *talk) answer(at uint64) (request, bool) {
	if len(t.outstanding) == 0 {
		return request{}, false
	}
	r := t.outstanding[0]
	t.outstanding = slices.Delete(t.outstanding, 0, 1)
	if t.got.share != r.share {
		t.shares[t.got.share].Received += at - t.got.from
		t.got = mark{r.share, at}
	}
	return r, true
}

// describe fills in the shares of c, whose totals are known.
func (t *talk) describe(c *Connection) {
	c.Status = t.status
	if len(t.shares) == 0 {
		return
	}
	shares := slices.Clone(t.shares)
	// The sniffer reads bytes before they are handed on, so the totals may not count yet what a mark is behind.
	shares[t.sent.share].Sent += c.Sent - min(c.Sent, t.sent.from)
	shares[t.got.share].Received += c.Received - min(c.Received, t.got.from)
	for _, s := range shares {
		c.Requests += s.Requests
		c.Refused += s.Failed
	}
	if len(shares) > 1 {
		c.Hosts = shares
	}
}

// Split returns what went to each host. For a connection that was used for one host, or whose hosts are not known, that is one
// Share.
func (c Connection) Split() []Share {
	shares := slices.Clone(c.Hosts)
	if len(shares) == 0 {
		shares = []Share{{Host: c.Host, Requests: c.Requests, Failed: c.Refused, Sent: c.Sent, Received: c.Received, Err: c.Err}}
	}
	if c.Err != nil && c.Refused == 0 {
		last := &shares[len(shares)-1]
		last.Failed, last.Err = last.Failed+1, c.Err
	}
	return shares
}
