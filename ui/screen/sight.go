package screen

import (
	"time"

	"culvert/aws"
)

// The sights of the browser's pages. A sight is read again and again while its page is in sight, and nothing else is.

// everything is the sight of the page with the services of all clusters.
var everything = aws.Sight{} //nolint:gochecknoglobals // never changed; Go has no constants of such types

// clusters is the sight of the first page, which takes two calls for a hundred clusters.
var clusters = aws.Sight{Parts: aws.ClusterDetails} //nolint:gochecknoglobals // never changed; Go has no constants of such types

// inside are the parts of a sight that the pages of services, tasks and containers need.
const inside = aws.Services | aws.Tasks | aws.Ports

// sight is the sight of the page that the user is on.
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
	case !b.loose: // for the tasks without a service the whole cluster has to be read
		at.Service = b.service
	}
	return at
}

// part is the cluster, or the service in it, that the user has gone into; zero for the whole account.
func (b *browse) part() aws.Target {
	at := b.sight()
	return aws.Target{Cluster: at.Cluster, Service: at.Service}
}

// smallAccount is how many calls reading a whole account may take for that to be done before the user asks for it.
const smallAccount = 60

// small reports whether about smallAccount calls are enough, by the numbers that ECS tells.
func small(c *aws.Catalog) bool {
	calls := 0
	for _, k := range c.Clusters {
		if k.Status == "" {
			return false // the numbers are not known, so it may be of any size
		}
		calls += 2 + k.Counts.Services + (k.Counts.Running+k.Counts.Pending)/50
	}
	return calls <= smallAccount
}

// mostLooks is of how many sights a place knows when they were last read.
const mostLooks = 256

// looks holds when the last finished look at each sight ended.
type looks map[aws.Sight]time.Time

// at is when the last finished look at a sight, or at one that covers it, ended; zero for never.
func (l looks) at(s aws.Sight) time.Time {
	var last time.Time
	for known, at := range l {
		if covers(known, s) && at.After(last) {
			last = at
		}
	}
	return last
}

// note notes when a look at a sight ended.
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

// covers reports whether one sight has all of another.
func covers(one, of aws.Sight) bool {
	return (one.Cluster == "" || one.Cluster == of.Cluster) && (one.Service == "" || one.Service == of.Service) &&
		(one.Task == "" || one.Task == of.Task) && (one.Parts == 0 || of.Parts != 0 && of.Parts&^one.Parts == 0)
}

// How often what is in sight is read again: every accounts.refresh; but a place spends no more than one part in restsFor of its
// time on reading, however long a look takes, and looks once in unwatchedEvery while nobody seems to look at the screen.
const (
	restsFor       = 5
	unwatchedEvery = time.Minute
	unwatchedAfter = 5 * time.Minute // how long without a key or the mouse until nobody seems to look
)

// due reports whether it is time to look again.
func (p *place) due() bool {
	if !p.of.inSight && p.client != nil {
		return false
	}
	return !p.of.look.now.Before(p.ended.Add(max(p.of.pause(), (restsFor-1)*p.took)))
}

// pause is how old what is in sight may become before it is read again.
func (a *accounts) pause() time.Duration {
	if a.unwatched {
		return max(a.refresh, unwatchedEvery)
	}
	return a.refresh
}
