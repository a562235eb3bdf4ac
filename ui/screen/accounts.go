package screen

import (
	"context"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// accounts are the places that were looked at, and how to get to others.
type accounts struct {
	look    *look
	ctx     context.Context //nolint:containedctx // of the run: commands of bubbletea are given none, and all of them end with it
	connect func(ctx context.Context, profile, region, role string) (*aws.Client, error)
	engine  func(*aws.Client) *tunnel.Engine
	refresh time.Duration // how often to look again

	inSight   bool // the browser is: nothing else shows what is looked at again and again
	unwatched bool // nobody seems to look at the screen

	places []*place // the tunnels of each live on
	here   *place   // what the user looks at
}

func newAccounts(ctx context.Context, l *look, o Options) *accounts {
	a := &accounts{look: l, ctx: ctx, connect: o.Connect, engine: o.Engine, refresh: o.Refresh, inSight: true}
	a.here = a.place(o.Profile, o.Region, "")
	return a
}

// place is the one of those names, a new one if need be.
func (a *accounts) place(profile, region, role string) *place {
	for _, p := range a.places {
		if p.profile == profile && p.region == region && p.role == role {
			return p
		}
	}
	p := &place{of: a, profile: profile, region: region, role: role}
	a.places = append(a.places, p)
	return p
}

// placeOf is where a saved tunnel is: in the account that the user looks at, unless it names another. That one is not
// looked at because of it.
func (a *accounts) placeOf(s SavedTunnel) *place {
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
