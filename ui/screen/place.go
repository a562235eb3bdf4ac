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

// knows reports whether a sight was read to the end.
func (p *place) knows(s aws.Sight) bool { return !p.seeing.at(s).IsZero() }

// taken is how old what the user looks at is.
func (p *place) taken() time.Time {
	at := p.seeing.at(p.sight)
	if at.IsZero() && p.catalog != nil {
		at = p.catalog.Taken
	}
	return at
}

// fresh reports whether what the user looks at needs no look yet.
func (p *place) fresh() bool { return p.seen() && p.of.look.now.Sub(p.taken()) <= p.of.refresh }

// focus says what the user looks at. Only that is looked at again from now on; what is too old, or was never looked at, is
// at once.
func (p *place) focus(s aws.Sight) wish {
	if p.sight == s {
		return nil
	}
	p.sight = s
	if p.looking || p.fresh() {
		return nil // where a look does not find enough, its end begins another
	}
	return all(p.look(), hurry())
}

// tick takes what has arrived, and looks again when it is time.
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

// look asks AWS for what the user looks at, after having connected where that is still to be done.
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

// arrival is what of a look has come so far, or all of it.
type arrival struct {
	sight   aws.Sight
	catalog *aws.Catalog
}

// find looks at a sight. The first look at a small account is at all of it: so nobody waits again on the way in.
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

// namesLast is how long it is known what clusters and services are called.
const namesLast = time.Minute

// askNames asks what clusters and services are called, for those of which that is not known and not being found out.
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
		update = func(*aws.Catalog) {} // what was known is better than a part of it
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

// connected begins with an account that has been opened.
func (p *place) connected(client *aws.Client) wish {
	return all(p.join(client), p.look(), begin(p))
}

// join makes an account that has been opened one for tunnels.
func (p *place) join(client *aws.Client) wish {
	p.client, p.engine = client, p.of.engine(client)
	p.looking, p.trouble = false, nil
	return all(joined(p), p.introduce())
}

// dial opens the account; the place stays as it is.
func (p *place) dial(ctx context.Context) (*aws.Client, error) {
	return p.of.connect(ctx, p.profile, p.region, p.role)
}

// reach opens an account that is only needed for its tunnels, and then goes on there, with what went wrong if it cannot.
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

// looked ends a look.
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
		p.ended = time.Time{} // the user looks at something else by now
	}
	if recovered || p.who != nil || p.stale() {
		return all(refreshed(p), p.introduce())
	}
	return refreshed(p)
}

// stale reports whether the expiry that is shown has passed or soon will: the credentials may have been renewed since.
func (p *place) stale() bool {
	return !p.expires.IsZero() && p.expires.Sub(p.of.look.now) < expiresSoon
}

// expiresSoon is when the expiry of the credentials becomes something to look at.
const expiresSoon = 15 * time.Minute

// introduce asks who the credentials belong to and how long they last.
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

// account is how a config file names the place, so that it is found again from any environment. The demo's is nowhere else.
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
	if unopened, ok := errors.AsType[*aws.UnopenedError](p.trouble); ok {
		return unopened.Region
	}
	return p.region
}
