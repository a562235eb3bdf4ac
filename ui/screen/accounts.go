package screen

import (
	"context"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// accounts are the places (accounts and regions) that were looked at, and how to get to others.
type accounts struct {
	look    *look
	ctx     context.Context //nolint:containedctx // the context of the run, with which all commands end: bubbletea gives commands none
	connect func(ctx context.Context, profile, region, role string) (*aws.Client, error)
	engine  func(*aws.Client) *tunnel.Engine
	refresh time.Duration // how often the account in sight is looked at again

	inSight   bool // the browser is in sight: only it shows what is looked at again and again
	unwatched bool // nobody seems to look at the screen

	places []*place // every place that was looked at; the tunnels of each live on
	here   *place   // the place that the user looks at
}

func newAccounts(ctx context.Context, l *look, o Options) *accounts {
	a := &accounts{look: l, ctx: ctx, connect: o.Connect, engine: o.Engine, refresh: o.Refresh, inSight: true}
	a.here = a.place(o.Profile, o.Region, "")
	return a
}

// place returns the place of a profile, region and role as they were asked for, a new one if there is none yet.
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

// placeOf returns the place of a saved tunnel: that which the user looks at, unless the tunnel names another account. The other
// account is not looked at because of that.
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
