package tunnel

import "slices"

const (
	// maxShares bounds the hosts of one connection that are told apart; the others share one.
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
	Failed         uint64 // requests that the proxy itself refused; the connection, where that is what failed
	Sent, Received uint64
	Err            error // the first of what Failed counts
}

// talk adds up the requests of a connection by host. Bytes belong to the request or the answer that they are part of;
// those after the last one of which the beginning was seen belong to that.
type talk struct {
	shares      []Share
	outstanding []request
	unheard     bool // answers are not read (any more)
	status      int  // of the last answer
	connected   bool // by a CONNECT: what follows is another protocol
	sent, got   mark
}

// mark is from where on the bytes of a direction belong to a share.
type mark struct {
	share int
	from  uint64
}

// request is one that has no answer yet.
type request struct {
	share   int
	connect bool
	head    bool
	proxied bool // in absolute form, or CONNECT
}

// ask notes a request whose first byte was at an offset. It reports whether there was room for it.
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

// answer takes out the request that an answer with its first byte at an offset belongs to. It reports whether there is one.
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
	// What was read before it is handed on may not be counted in the totals yet.
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

// Split returns what went to each host. A connection that was used for one host, or of which that is not known, is one
// share.
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
