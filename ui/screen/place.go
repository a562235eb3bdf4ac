package screen

import (
	"cmp"
	"context"
	"errors"
	"maps"
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
	expires  time.Time // of the credentials; zero when they do not, or when it is not known
	who      error     // why identity is not known

	catalog *aws.Catalog // as complete as it has become; nil before the first
	arrived atomic.Pointer[aws.Catalog]
	looking bool
	trouble error     // why the last look, or the way to it, ended with nothing
	next    time.Time // look again

	cluster  string               // that the user looks at; empty: at all of them
	asking   string               // that the look under way is about; empty: all of them
	whole    bool                 // catalog has all clusters of a finished look
	wholeAt  time.Time            // that it ended
	read     map[string]time.Time // when finished looks at a cluster alone ended
	names    *aws.Catalog         // what clusters and services are called, where that was asked for alone
	named    atomic.Pointer[aws.Catalog]
	naming   bool  // that is being asked for
	nameless error // why it is not known

	described map[aws.Target]described // the rows that were looked at
}

// busy reports whether something is under way that the screen waits for.
func (p *place) busy() bool { return p.looking || p.naming }

// seen reports whether what the user looks at is in the catalog as a finished look has found it.
func (p *place) seen() bool { return p.whole || p.cluster != "" && !p.read[p.cluster].IsZero() }

// taken is how old what the user looks at is.
func (p *place) taken() time.Time {
	at := p.wholeAt
	if alone := p.read[p.cluster]; p.cluster != "" && alone.After(at) {
		at = alone
	}
	if at.IsZero() && p.catalog != nil {
		at = p.catalog.Taken
	}
	return at
}

// focus says what the user looks at: one cluster, or all of them. Only that is looked at again from now on; what is too
// old, or was never looked at, is at once.
func (p *place) focus(cluster string) wish {
	if p.cluster == cluster {
		return nil
	}
	p.cluster = cluster
	if p.looking || p.seen() && p.of.look.now.Sub(p.taken()) <= p.of.refresh {
		return nil // where a look does not find enough, its end begins another
	}
	return all(p.look(), hurry())
}

// tick takes what has arrived, and looks again when it is time.
func (p *place) tick() wish {
	var w wish
	switch c := p.arrived.Swap(nil); {
	case c == nil || p.whole:
	case p.asking == "":
		p.catalog = c
		w = refreshed(p)
	case p.read[p.asking].IsZero():
		p.catalog = p.catalog.With(p.asking, c)
		w = refreshed(p)
	}
	if names := p.named.Swap(nil); names != nil && p.naming {
		p.names = names
	}
	if !p.looking && !p.of.look.now.Before(p.next) {
		return all(w, p.look())
	}
	return w
}

// look asks AWS for what the user looks at, after having connected where that is still to be done.
func (p *place) look() wish {
	if p.looking {
		return nil
	}
	p.looking, p.asking = true, p.cluster
	client, cluster := p.client, p.cluster
	var clusters []string
	if cluster != "" {
		clusters = []string{cluster}
	}
	p.arrived.Store(nil)
	return beside(func() tea.Msg {
		if client == nil {
			connected, err := p.dial(p.of.ctx)
			if err != nil {
				return then(func() wish { return p.looked(cluster, nil, err) })
			}
			return then(func() wish { return p.connected(connected) })
		}
		catalog, err := client.DiscoverEach(p.of.ctx, p.arrived.Store, clusters...)
		return then(func() wish { return p.looked(cluster, catalog, err) })
	})
}

// askNames asks what clusters and services are called, for those of which that is not known and not being found out; no
// more than once.
func (p *place) askNames() wish {
	if p.client == nil || p.whole || p.names != nil || p.naming || p.looking && p.asking == "" {
		return nil
	}
	p.naming, p.nameless = true, nil
	client, read := p.client, maps.Clone(p.read)
	return all(hurry(), beside(func() tea.Msg {
		names, err := client.Names(p.of.ctx, p.named.Store, func(cluster string) bool { return !read[cluster].IsZero() })
		return then(func() wish {
			p.naming, p.nameless = false, err
			if names != nil {
				p.names = names
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

// looked ends a look at a cluster, or at all of them.
func (p *place) looked(cluster string, catalog *aws.Catalog, err error) wish {
	p.looking = false
	p.next = p.of.look.now.Add(p.of.refresh)
	recovered := p.trouble != nil && err == nil
	if !errors.Is(err, context.Canceled) {
		p.trouble = err
	}
	switch {
	case catalog == nil:
	case cluster == "":
		p.whole, p.catalog, p.wholeAt = true, catalog, p.of.look.now
	default:
		p.catalog = p.catalog.With(cluster, catalog)
		if p.read == nil {
			p.read = map[string]time.Time{}
		}
		p.read[cluster] = p.of.look.now
	}
	if err == nil && cluster != "" && cluster != p.cluster {
		p.next = time.Time{} // the user looks at something else by now
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
