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
	of              *accounts
	profile, region string // as asked for; empty is what the environment says
	role            string // that a saved tunnel assumes; empty is what the environment says

	client   *aws.Client // nil until connected
	engine   *tunnel.Engine
	identity aws.Identity
	expires  time.Time // when the credentials expire; zero when they do not, or when that is not known
	who      error     // why identity is not known; nil when it is, or nobody has asked

	// A look is one reading of the account: aws.Client.Discover for a sight.
	catalog *aws.Catalog            // what all looks have found so far; nil before the first has found anything
	arrived atomic.Pointer[arrival] // what the look under way has found so far, for the event loop to fetch
	looking bool                    // a look is under way
	trouble error                   // why the last look, or connecting, ended with nothing
	began   time.Time               // when the last look began
	ended   time.Time               // when it ended; zero: look at once
	took    time.Duration           // how long it took

	sight  aws.Sight    // which part of the account the user has in sight
	asking aws.Sight    // which part the look under way reads
	before *aws.Catalog // the catalog when that look began
	seeing looks        // when each sight was last read to the end

	// The names of all clusters and services, which the jump to a name reads alone: a look at a sight has only a part of them.
	names    *aws.Catalog                // nil before they were read
	namedAt  time.Time                   // when they were
	named    atomic.Pointer[aws.Catalog] // what the reading has found so far, for the event loop to fetch
	naming   bool                        // they are being read
	nameless error                       // why they are not known

	described map[aws.Target]described // details of the rows that the user has opened
	surveys   []*survey                // of the private destinations that are reached from here, where somebody wanted to see them
}

// busy reports whether something is under way that the screen waits for.
func (p *place) busy() bool { return p.looking || p.naming }

// seen reports whether what the user looks at is in the catalog as a finished look has found it.
func (p *place) seen() bool { return p.knows(p.sight) }

// knows reports whether a look at a sight, or at more, has finished.
func (p *place) knows(s aws.Sight) bool { return !p.seeing.at(s).IsZero() }

// taken is when what the user looks at was read.
func (p *place) taken() time.Time {
	at := p.seeing.at(p.sight)
	if at.IsZero() && p.catalog != nil {
		at = p.catalog.Taken
	}
	return at
}

// fresh reports whether what the user looks at was read recently enough to need no look.
func (p *place) fresh() bool { return p.seen() && p.of.look.now.Sub(p.taken()) <= p.of.refresh }

// focus sets the sight that the user looks at. Only that is read again and again from now on; when it is too old, or was never
// read, it is read immediately.
func (p *place) focus(s aws.Sight) wish {
	if p.sight == s {
		return nil
	}
	p.sight = s
	if p.looking || p.fresh() {
		return nil // if the look under way does not read enough, its end begins another
	}
	return all(p.look(), hurry())
}

// tick takes what the look under way has found so far, and begins another look when it is time.
func (p *place) tick() wish {
	var w wish
	if c := p.arrived.Swap(nil); c != nil && p.looking && !p.knows(p.asking) {
		p.catalog = p.before.With(c.sight, c.catalog)
		w = refreshed(p)
	}
	if names := p.named.Swap(nil); names != nil && p.naming {
		p.names = names
	}
	if !p.looking && p.due() {
		return all(w, p.look())
	}
	return w
}

// look reads from AWS what the user looks at, and connects first if need be.
func (p *place) look() wish {
	if p.looking {
		return nil
	}
	p.looking, p.asking, p.before, p.began = true, p.sight, p.catalog, p.of.look.now
	client, sight, first := p.client, p.sight, len(p.seeing) == 0
	p.arrived.Store(nil)
	return beside(func() tea.Msg {
		if client == nil {
			connected, err := p.dial(p.of.ctx)
			if err != nil {
				return then(func() wish { return p.looked(sight, nil, err) })
			}
			return then(func() wish { return p.connected(connected) })
		}
		found, err := p.find(client, sight, first)
		return then(func() wish { return p.looked(found.sight, found.catalog, err) })
	})
}

// arrival is what a look has found so far, or all of it.
type arrival struct {
	sight   aws.Sight
	catalog *aws.Catalog
}

// find reads a sight. The first look at a small account reads all of it, so that the user does not wait again on going deeper.
func (p *place) find(client *aws.Client, sight aws.Sight, first bool) (arrival, error) {
	look := func(s aws.Sight) (arrival, error) {
		catalog, err := client.Look(p.of.ctx, s, func(c *aws.Catalog) { p.arrived.Store(&arrival{s, c}) })
		return arrival{s, catalog}, err
	}
	found, err := look(sight)
	if !first || sight != clusters || err != nil || !small(found.catalog) {
		return found, err
	}
	return look(everything)
}

// namesLast is how long the names of clusters and services count as known after they were read.
const namesLast = time.Minute

// askNames reads the names of clusters and services, unless they are known or being read.
func (p *place) askNames() wish {
	now := p.of.look.now
	known := p.namedAt
	if at := p.seeing.at(everything); at.After(known) {
		known = at
	}
	if p.client == nil || p.naming || p.looking && p.asking == everything || !known.IsZero() && now.Sub(known) <= namesLast {
		return nil
	}
	p.naming, p.nameless = true, nil
	client, seen := p.client, map[string]bool{}
	if p.catalog != nil {
		for _, k := range p.catalog.Clusters {
			seen[k.Name] = now.Sub(p.seeing.at(aws.Sight{Cluster: k.Name, Parts: aws.Services})) <= namesLast
		}
	}
	update := p.named.Store
	if p.names != nil {
		update = func(*aws.Catalog) {} // the names that were known before are better than a part of the new ones
	}
	return all(hurry(), beside(func() tea.Msg {
		names, err := client.Names(p.of.ctx, update, func(cluster string) bool { return seen[cluster] })
		return then(func() wish {
			p.naming, p.nameless = false, err
			if names != nil {
				p.names, p.namedAt = names, p.of.look.now
			}
			return nil
		})
	}))
}

// connected takes the client of an account that was opened, and begins to use it.
func (p *place) connected(client *aws.Client) wish {
	return all(p.join(client), p.look(), begin(p))
}

// join gives a place whose account was opened an engine for tunnels.
func (p *place) join(client *aws.Client) wish {
	p.client, p.engine = client, p.of.engine(client)
	p.looking, p.trouble = false, nil
	return all(joined(p), p.introduce())
}

// dial opens the account and returns its client; the place is not changed.
func (p *place) dial(ctx context.Context) (*aws.Client, error) {
	return p.of.connect(ctx, p.profile, p.region, p.role)
}

// reach opens an account that is only needed for its tunnels, and then calls goOn, with the error if that failed.
func (p *place) reach(goOn func(error) wish) wish {
	if p.client != nil {
		return goOn(nil)
	}
	p.looking = true
	return beside(func() tea.Msg {
		client, err := p.dial(p.of.ctx)
		return then(func() wish {
			if err != nil {
				p.looking = false
				return goOn(err)
			}
			return all(p.join(client), goOn(nil))
		})
	})
}

// looked takes the result of a look that has ended.
func (p *place) looked(sight aws.Sight, catalog *aws.Catalog, err error) wish {
	p.looking = false
	p.ended = p.of.look.now
	p.took = p.ended.Sub(p.began)
	recovered := p.trouble != nil && err == nil
	if !errors.Is(err, context.Canceled) {
		p.trouble = err
	}
	if catalog != nil {
		p.catalog = p.before.With(sight, catalog)
		if p.seeing == nil {
			p.seeing = looks{}
		}
		p.seeing.note(sight, p.ended)
	}
	p.before = nil
	if err == nil && sight != p.sight && !p.fresh() {
		p.ended = time.Time{} // look at once, as the user looks at something else by now
	}
	if recovered || p.who != nil || p.stale() {
		return all(refreshed(p), p.introduce())
	}
	return refreshed(p)
}

// stale reports whether the expiry that is shown has passed or will soon, so that it should be asked for again: the credentials
// may have been renewed.
func (p *place) stale() bool {
	return !p.expires.IsZero() && p.expires.Sub(p.of.look.now) < expiresSoon
}

// expiresSoon is how long before their end the expiry of credentials is shown as a warning.
const expiresSoon = 15 * time.Minute

// introduce asks AWS to whom the credentials belong and how long they last.
func (p *place) introduce() wish {
	client := p.client
	if client == nil {
		return nil
	}
	return beside(func() tea.Msg {
		identity, err := client.Identity(p.of.ctx)
		expires, _ := client.Expires(p.of.ctx)
		return then(func() wish {
			p.who, p.expires = err, expires
			if err == nil {
				p.identity = identity
			}
			return nil
		})
	})
}

// account is how a config file names the account of the place, so that it is found again from any environment; empty for the
// demo's account.
func (p *place) account() Account {
	if p.client == nil {
		return Account{Profile: p.profile, Region: p.region, Role: p.role}
	}
	shell := p.client.Shell()
	if shell.Demo {
		return Account{}
	}
	return Account{Profile: shell.Profile, Region: p.client.Region(), Role: shell.Role}
}

// profileName and regionName are the names that are shown: as AWS's configuration has resolved them, else as they were asked for.
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
	if unopened, ok := errors.AsType[*aws.UnopenedError](p.trouble); ok {
		return unopened.Region
	}
	return p.region
}
