package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// pageLife is how long a nextToken is valid.
const pageLife = time.Hour

// pager makes and reads nextToken values: they are opaque, signed, valid for one list only, and for a limited time.
type pager struct{ secret [32]byte }

// mark is the content of a token: the list For goes on behind Last.
type mark struct {
	For   string `json:"for"`
	Last  string `json:"last"`
	Until int64  `json:"until"`
}

func newPager() *pager {
	p := &pager{}
	_, _ = rand.Read(p.secret[:]) // never fails, see crypto/rand
	return p
}

func (p *pager) sum(text []byte) []byte {
	mac := hmac.New(sha256.New, p.secret[:])
	mac.Write(text)
	return mac.Sum(nil)
}

func (p *pager) token(list, last string, now time.Time) string {
	text, err := json.Marshal(mark{For: list, Last: last, Until: now.Add(pageLife).Unix()})
	if err != nil {
		return "" // cannot happen: strings and numbers can always be encoded
	}
	return base64.StdEncoding.EncodeToString(append(p.sum(text), text...))
}

// last reads a token; an empty token stands for the start of the list.
func (p *pager) last(list, token string, now time.Time) (string, error) {
	if token == "" {
		return "", nil
	}
	invalid := &apiError{Code: "InvalidParameterException", Message: "Invalid token in nextToken."}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < sha256.Size {
		return "", invalid
	}
	var m mark
	if !hmac.Equal(raw[:sha256.Size], p.sum(raw[sha256.Size:])) || json.Unmarshal(raw[sha256.Size:], &m) != nil {
		return "", invalid
	}
	if m.For != list || now.Unix() > m.Until {
		return "", invalid
	}
	return m.Last, nil
}

// paging is the input that every list has.
type paging struct {
	NextToken  string `json:"nextToken"`
	MaxResults *int   `json:"maxResults"`
}

// page is the part of a sorted list of ARNs that a call asks for. list names the call and its filters: a token of one list is
// not valid for another.
func (e *Emulator) page(list string, in paging, usual int, arns []string) (part []string, next *string, err error) {
	size := usual
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > 100 {
			return nil, nil, &apiError{Code: "InvalidParameterException", Message: "maxResults should be between 1 and 100."}
		}
	}
	last, err := e.pages.last(list, in.NextToken, e.now())
	if err != nil {
		return nil, nil, err
	}
	part = []string{}
	for _, arn := range arns {
		if arn <= last {
			continue
		}
		if len(part) == size {
			token := e.pages.token(list, part[size-1], e.now())
			return part, &token, nil
		}
		part = append(part, arn)
	}
	return part, nil, nil
}
