package screen

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
)

// survey is what is known of the private destinations that a part of an account names or reaches. As finding them takes
// permissions and some thirty calls, AWS is only asked when the user wants to see them, and again only when the answer is old, or
// the user wants it anew.
type survey struct {
	place    *place
	part     aws.Target  // a cluster, or a service in it; zero for the whole account
	routes   *aws.Routes // what is known so far; nil before the first of it has come
	judged   bool        // routes is the result of a look that has finished, so that the ways are known
	arrived  atomic.Pointer[aws.Routes]
	entering bool // a tunnel for a database program is being opened
	looking  bool
	trouble  error     // why the last look failed; nil when it did not
	ended    time.Time // when the last look ended; zero before
}

// mostSurveys is how many surveys a place remembers; surveyLasts is how old one may be to be shown without a new look.
const (
	mostSurveys = 16
	surveyLasts = 5 * time.Minute
)

// survey returns the survey of a part of the place's account, a new one if there is none yet.
func (p *place) survey(part aws.Target) *survey {
	part = aws.Target{Cluster: part.Cluster, Service: part.Service}
	for _, s := range p.surveys {
		if s.part == part {
			return s
		}
	}
	if len(p.surveys) >= mostSurveys {
		p.surveys = slices.Delete(p.surveys, 0, 1)
	}
	s := &survey{place: p, part: part}
	p.surveys = append(p.surveys, s)
	return s
}

// due reports whether there was no look yet, or the last one is too long ago.
func (s *survey) due() bool {
	return s.place.client != nil && !s.looking && (s.ended.IsZero() || s.place.of.look.now.Sub(s.ended) > surveyLasts)
}

// look asks AWS for everything anew. What was known stays in sight until the look has finished.
func (s *survey) look() wish {
	client := s.place.client
	if s.looking || client == nil {
		return nil
	}
	s.looking = true
	s.arrived.Store(nil)
	ctx := s.place.of.ctx
	return all(hurry(), beside(func() tea.Msg {
		routes, err := client.FindRoutes(ctx, aws.Sight{Cluster: s.part.Cluster, Service: s.part.Service, Parts: aws.Services | aws.Tasks}, s.arrived.Store)
		return then(func() wish { return s.looked(routes, err) })
	}))
}

// answered reports whether there is nothing to wait for: everything is known, or why it is not.
func (s *survey) answered() bool {
	return s.judged || s.trouble != nil && !s.looking || s.place.client == nil && s.place.trouble != nil
}

// take takes what has come so far, unless more was known before.
func (s *survey) take() {
	if routes := s.arrived.Swap(nil); routes != nil && s.looking && !s.judged {
		s.routes = routes
	}
}

func (s *survey) looked(routes *aws.Routes, err error) wish {
	s.take()
	s.looking, s.ended = false, s.place.of.look.now
	if !errors.Is(err, context.Canceled) {
		s.trouble = err
	}
	if routes != nil {
		s.routes, s.judged = routes, true
	}
	return hurry()
}

// gaps returns the errors of what could not be read.
func (s *survey) gaps() []error {
	if s.routes == nil {
		return nil
	}
	return s.routes.Gaps
}

// hostRow is a private destination with the ways to it, or a variable whose value is in a secret.
type hostRow struct {
	aws.Host

	judged bool      // the look had finished when the row was made, so that its ways are known
	ways   []aws.Way // the best way first
	secret string    // the secret that has the value of the variable Name; empty when the host is known
}

func (l hostRow) id() string {
	by := ""
	if l.secret != "" {
		by = l.user()
	}
	return l.Name + "\x00" + l.Role + "\x00" + l.Host.Host + "\x00" + strconv.Itoa(int(l.Port)) + "\x00" + by
}

// rows returns the destinations that concern the part of the account, then the variables whose hosts are not known.
func (s *survey) rows() []hostRow {
	if s.routes == nil {
		return nil
	}
	r := s.routes
	lines := make([]hostRow, 0, len(r.Hosts.Hosts)+len(r.Unread))
	for i, h := range r.Hosts.Hosts {
		if s.part.Cluster == "" || r.Concerns(i) || !s.judged {
			lines = append(lines, hostRow{Host: h, judged: s.judged, ways: r.Ways[i]})
		}
	}
	for _, by := range r.Unread {
		lines = append(lines, hostRow{
			Host: aws.Host{Name: by.Variable, Source: "environment", Mentions: []aws.NamedBy{by}}, secret: by.Secret,
		})
	}
	return lines
}

// upToDate returns a row as it is now, where the ways were not known yet when it was made. A key may come between the end of a look
// and the next time that the page takes its rows.
func (s *survey) upToDate(l hostRow) hostRow {
	if l.judged || !s.judged {
		return l
	}
	for _, now := range s.rows() {
		if now.id() == l.id() {
			return now
		}
	}
	return l
}

// noWay is why a destination cannot be reached; nil while that is not known, and when a way can be tried.
func (s *survey) noWay(l hostRow) error {
	switch {
	case l.secret != "" || !l.judged:
		return nil
	case len(l.ways) == 0 && l.Port == 0: // without ways a missing port does not matter yet
		l.Port = 1
		return &aws.NoWayError{Host: l.Host, Shell: s.routes.Catalog.Shell}
	case len(l.ways) == 0, l.ways[0].Verdict == aws.NoRule && l.Port != 0:
		return &aws.NoWayError{Host: l.Host, Ways: l.ways, Shell: s.routes.Catalog.Shell}
	}
	return nil
}
