package screen

import (
	"time"

	"culvert/aws"
)

// What the pages of the browser look at. Each is looked at again and again while it is in sight, and nothing else is.

// everything is for the page with the services of all clusters.
var everything = aws.Sight{} //nolint:gochecknoglobals // never changed; Go has no constants of such types

// clusters are what the first page shows: two calls for a hundred of them.
var clusters = aws.Sight{Parts: aws.ClusterDetails} //nolint:gochecknoglobals // never changed; Go has no constants of such types

// inside are the parts of what is shown of services, tasks and containers.
const inside = aws.Services | aws.Tasks | aws.Ports

// sight is what the page that the user is on shows.
func (b *browse) sight() aws.Sight {
	at := aws.Sight{Cluster: b.cluster, Parts: inside}
	switch {
	case b.depth == atClusters:
		return clusters
	case b.flat && b.depth == atServices:
		return everything
	case b.depth == atServices:
	case b.depth == atContainers:
		at.Service, at.Task = b.service, b.task
	case !b.loose: // of tasks without a service there is no list
		at.Service = b.service
	}
	return at
}

// part is the cluster, or in it the service, that the user has gone into; zero: the whole account is in sight.
func (b *browse) part() aws.Target {
	at := b.sight()
	return aws.Target{Cluster: at.Cluster, Service: at.Service}
}

// smallAccount is how many calls may read an account whole before anybody has asked for it.
const smallAccount = 60

// small reports whether about so many are enough, by what ECS counts.
func small(c *aws.Catalog) bool {
	calls := 0
	for _, k := range c.Clusters {
		if k.Status == "" {
			return false // it may be of any size
		}
		calls += 2 + k.Counts.Services + (k.Counts.Running+k.Counts.Pending)/50
	}
	return calls <= smallAccount
}

// mostLooks bounds what a place knows of its looks.
const mostLooks = 256

// looks are when finished looks ended, by what they were at.
type looks map[aws.Sight]time.Time

// at is when the last finished look that was at a sight, or at more, ended; zero: never.
func (l looks) at(s aws.Sight) time.Time {
	var last time.Time
	for known, at := range l {
		if covers(known, s) && at.After(last) {
			last = at
		}
	}
	return last
}

// note keeps when a look ended.
func (l looks) note(s aws.Sight, at time.Time) {
	if len(l) >= mostLooks {
		oldest := s
		for known, then := range l {
			if oldest == s || then.Before(l[oldest]) {
				oldest = known
			}
		}
		delete(l, oldest)
	}
	l[s] = at
}

// covers reports whether one sight holds all of another.
func covers(one, of aws.Sight) bool {
	return (one.Cluster == "" || one.Cluster == of.Cluster) && (one.Service == "" || one.Service == of.Service) &&
		(one.Task == "" || one.Task == of.Task) && (one.Parts == 0 || of.Parts != 0 && of.Parts&^one.Parts == 0)
}

// How often what is in sight is looked at again: see accounts.refresh, but a place spends no more than one part in
// restsFor of its time on it, whatever that is, and looks once in unwatchedEvery while nobody does.
const (
	restsFor       = 5
	unwatchedEvery = time.Minute
	unwatchedAfter = 5 * time.Minute // without a key or the mouse
)

// due reports whether it is time to look again.
func (p *place) due() bool {
	if !p.of.inSight && p.client != nil {
		return false
	}
	return !p.of.look.now.Before(p.ended.Add(max(p.of.pause(), (restsFor-1)*p.took)))
}

// pause is how old what is in sight may become.
func (a *accounts) pause() time.Duration {
	if a.unwatched {
		return max(a.refresh, unwatchedEvery)
	}
	return a.refresh
}
