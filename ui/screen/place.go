package screen

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
)

// place is an account and region as one profile sees them. Its tunnels live on while the user looks elsewhere.
type place struct {
	app             *app
	profile, region string // as asked for; empty is what the environment says
	role            string // that a saved tunnel assumes; empty is what the environment says

	client   *aws.Client // nil until connected
	engine   *tunnel.Engine
	identity aws.Identity
	expires  time.Time // of the credentials; zero when they do not, or when it is not known
	who      error     // why identity is not known

	catalog *aws.Catalog // as complete as it has become; nil before the first
	arrived atomic.Pointer[aws.Catalog]
	looking bool
	whole   bool      // catalog is a finished look
	trouble error     // why the last look, or the way to it, ended with nothing
	next    time.Time // look again
}

// goTo shows a place: one that was looked at before as it was left, else a new one.
func (a *app) goTo(profile, region string) tea.Cmd {
	a.here = a.place(profile, region, "")
	a.browse.arrive()
	return a.here.look()
}

// place is the one of those names, a new one if need be.
func (a *app) place(profile, region, role string) *place {
	for _, p := range a.places {
		if p.profile == profile && p.region == region && p.role == role {
			return p
		}
	}
	p := &place{app: a, profile: profile, region: region, role: role}
	a.places = append(a.places, p)
	return p
}

// placeOf is where a saved tunnel is: in the account that the user looks at, unless it names another. That one is not
// looked at because of it.
func (a *app) placeOf(s SavedTunnel) *place {
	profile, region, role := a.here.profile, a.here.region, a.here.role
	if s.Profile != "" && s.Profile != a.here.profileName() {
		profile, region, role = s.Profile, "", ""
	}
	if s.Region != "" && (profile != a.here.profile || s.Region != a.here.regionName()) {
		region = s.Region
	}
	if s.Role != "" {
		role = s.Role
	}
	return a.place(profile, region, role)
}

// busy reports whether something is under way that the screen waits for.
func (p *place) busy() bool { return p.looking }

// tick takes what has arrived, and looks again when it is time.
func (p *place) tick() tea.Cmd {
	if c := p.arrived.Swap(nil); c != nil && !p.whole {
		p.take(c)
	}
	if !p.looking && !p.app.now.Before(p.next) {
		return p.look()
	}
	return nil
}

// look asks AWS for everything, after having connected where that is still to be done.
func (p *place) look() tea.Cmd {
	if p.looking {
		return nil
	}
	p.looking = true
	a, client := p.app, p.client
	return func() tea.Msg {
		if client == nil {
			connected, err := a.o.Connect(a.ctx, p.profile, p.region, p.role)
			if err != nil {
				return then(func() tea.Cmd { return p.looked(nil, err) })
			}
			return then(func() tea.Cmd { return p.connected(connected) })
		}
		catalog, err := client.DiscoverEach(a.ctx, p.arrived.Store)
		return then(func() tea.Cmd { return p.looked(catalog, err) })
	}
}

// connected begins with an account that has been opened.
func (p *place) connected(client *aws.Client) tea.Cmd {
	joined := p.join(client)
	return tea.Batch(joined, p.look(), p.app.begin(p))
}

// join makes an account that has been opened one for tunnels.
func (p *place) join(client *aws.Client) tea.Cmd {
	p.client, p.engine = client, p.app.o.Engine(client)
	p.looking, p.trouble = false, nil
	return tea.Batch(p.app.tunnels.follow(p), p.introduce())
}

// reach opens an account that is only needed for its tunnels, and then goes on there, with what went wrong if it cannot.
func (p *place) reach(goOn func(error) tea.Cmd) tea.Cmd {
	if p.client != nil {
		return goOn(nil)
	}
	p.looking = true
	a := p.app
	return func() tea.Msg {
		client, err := a.o.Connect(a.ctx, p.profile, p.region, p.role)
		return then(func() tea.Cmd {
			if err != nil {
				p.looking = false
				return goOn(err)
			}
			joined := p.join(client)
			return tea.Batch(joined, goOn(nil))
		})
	}
}

// looked ends a look.
func (p *place) looked(catalog *aws.Catalog, err error) tea.Cmd {
	p.looking = false
	p.next = p.app.now.Add(p.app.o.Refresh)
	recovered := p.trouble != nil && err == nil
	if !errors.Is(err, context.Canceled) {
		p.trouble = err
	}
	if catalog != nil {
		p.whole = true
		p.take(catalog)
	}
	if p == p.app.here {
		p.app.browse.fresh()
	}
	if recovered || p.who != nil || p.stale() {
		return p.introduce()
	}
	return nil
}

// stale reports whether the expiry that is shown has passed or soon will: the credentials may have been renewed since.
func (p *place) stale() bool {
	return !p.expires.IsZero() && p.expires.Sub(p.app.now) < expiresSoon
}

// expiresSoon is when the expiry of the credentials becomes something to look at.
const expiresSoon = 15 * time.Minute

func (p *place) take(c *aws.Catalog) {
	p.catalog = c
	if p == p.app.here {
		p.app.browse.fresh()
	}
}

// introduce asks who the credentials belong to and how long they last.
func (p *place) introduce() tea.Cmd {
	a, client := p.app, p.client
	if client == nil {
		return nil
	}
	return func() tea.Msg {
		identity, err := client.Identity(a.ctx)
		expires, _ := client.Expires(a.ctx)
		return then(func() tea.Cmd {
			p.who, p.expires = err, expires
			if err == nil {
				p.identity = identity
			}
			return nil
		})
	}
}

// profileName and regionName are what is shown: as resolved, else as asked for.
func (p *place) profileName() string {
	if p.client != nil {
		return p.client.Profile()
	}
	return cmp.Or(p.profile, "default")
}

func (p *place) regionName() string {
	if p.client != nil {
		return p.client.Region()
	}
	return p.region
}
