package doctor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// examination is one Run: what its checks have found for those that build on them. Every field is written by the check
// named behind it and read by checks that come after that one.
type examination struct {
	Options

	client    *aws.Client    // credentials
	refused   error          // region: what Connect said about the credentials
	identity  aws.Identity   // identity
	found     aws.Inspection // cluster
	own       *ownTunnel     // session
	ownErr    error          // session: why that tunnel did not open
	network   aws.Network    // network: how the task gets to Session Manager; zero when that was not looked at
	answer    Answer         // port
	answerErr error          // port: *SilentError or *ShutError when nothing answered
}

func newExamination(o Options) *examination {
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &examination{Options: o}
}

// The ids of the checks.
const (
	checkRegion      = "region"
	checkCredentials = "credentials"
	checkIdentity    = "identity"
	checkClock       = "clock"
	checkListen      = "listen"
	checkDestination = "destination"
	checkCluster     = "cluster"
	checkService     = "service"
	checkTask        = "task"
	checkExec        = "exec"
	checkAgent       = "agent"
	checkDefinition  = "definition"
	checkSession     = "session"
	checkChannel     = "channel"
	checkHandshake   = "handshake"
	checkPort        = "port"
	checkAnswer      = "answer"
	checkHosts       = "hosts"
	checkRelay       = "relay"
	checkInstance    = "instance"
	checkRole        = "role"
	checkNetwork     = "network"
	checkFirewall    = "firewall"
	checkLeftovers   = "leftovers"
	checkEnded       = "ended"
	checkOutlook     = "outlook"
)

// checks are those of one examination, in the order of the path, which is also that of their cost.
func (x *examination) checks() []Check {
	all := []Check{x.regionCheck(), x.credentialsCheck(), x.identityCheck(), x.clockCheck(), x.listenCheck()}
	if x.named() {
		all = append(all, x.destinationCheck())
	}
	all = append(all,
		x.clusterCheck(), x.serviceCheck(), x.taskCheck(), x.execCheck(), x.agentCheck(), x.definitionCheck(),
		x.sessionCheck(), x.channelCheck(), x.handshakeCheck(),
	)
	switch {
	case !x.anyHost():
		all = append(all, x.portCheck(), x.answerCheck())
	case len(x.Probes) == 0:
		all = append(all, x.hostsCheck())
	}
	if x.bonds() {
		all = append(all, x.relayCheck())
	}
	for i, u := range x.Probes {
		all = append(all, x.probeCheck(i, u))
	}
	all = append(all, x.instanceCheck(), x.roleCheck(), x.networkCheck(), x.firewallCheck(), x.leftoversCheck(), x.endedCheck(), x.outlookCheck())
	return needed(all, x.Only)
}

// needed are the wanted checks and those that they build on or wait for, in the order of all; without any wanted, all.
func needed(all []Check, wanted []string) []Check {
	if len(wanted) == 0 {
		return all
	}
	is := map[string]bool{}
	var need func(ids []string)
	need = func(ids []string) {
		for _, c := range all {
			if slices.Contains(ids, c.ID) && !is[c.ID] {
				is[c.ID] = true
				need(c.After)
				need(c.Behind)
			}
		}
	}
	need(wanted)
	return slices.DeleteFunc(all, func(c Check) bool { return !is[c.ID] })
}

// close ends what the examination has opened.
func (x *examination) close(ctx context.Context) {
	if x.own == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	x.own.close(ctx)
}

// describe writes down what a check that is over has found of what the examination is about.
func (x *examination) describe(s *Subject, check string) {
	switch check {
	case checkRegion:
		if x.client != nil {
			s.Region = x.client.Region()
		}
	case checkIdentity:
		s.Account = x.identity.Account
	case checkCluster:
		found := x.found.Target
		if e, ok := errors.AsType[*aws.NotReadyError](x.found.Err); ok {
			found = e.Target
		}
		if found != (aws.Target{}) {
			s.Target = found
		}
	case checkSession:
		if x.own != nil && x.own.tunnel.Link().Session != "" {
			s.Target = x.own.tunnel.Link().Target
		}
	}
}

// pass is a finding without trouble.
func pass(evidence ...string) Finding { return Finding{Verdict: Pass, Evidence: evidence} }

// fail is a finding that ends the path.
func fail(err error, evidence ...string) Finding {
	return Finding{Verdict: Fail, Err: err, Evidence: evidence}
}

// skip is a finding of nothing.
func skip(why string) Finding { return Finding{Verdict: Skipped, Why: why} }

// blind is the finding of a check that could not look. A denied action is named with its statement by the error.
func blind(err error) Finding {
	f := Finding{Verdict: Skipped, Why: "could not look: " + err.Error(), Err: err}
	if denied, ok := errors.AsType[*aws.DeniedError](err); ok {
		f.Why = "may not look: " + denied.Action + " is not allowed"
	}
	return f
}

// advise turns advice into a finding: a pass when there is none.
func advise(evidence []string, all ...*AdviceError) Finding {
	all = slices.DeleteFunc(all, func(a *AdviceError) bool { return a == nil })
	if len(all) == 0 {
		return pass(evidence...)
	}
	f := Finding{Verdict: Warn, Evidence: evidence, Err: all[0]}
	if len(all) > 1 {
		f.Err = &AdviceError{ID: all[0].ID, Problem: joined(all, func(a *AdviceError) string { return a.Problem }), Advice: joined(all, func(a *AdviceError) string { return a.Advice })}
	}
	return f
}

func joined(all []*AdviceError, part func(*AdviceError) string) string {
	texts := make([]string, 0, len(all))
	for _, a := range all {
		texts = append(texts, part(a))
	}
	return strings.Join(texts, "; ")
}

// gapOf is the gap that hides a part of what ECS knows; nil when all was seen.
func (x *examination) gapOf(what string) error {
	for _, g := range x.found.Gaps {
		if gap, ok := errors.AsType[*aws.GapError](g); ok && gap.What == what {
			return gap.Err
		}
	}
	return nil
}

// wantsProxy reports whether the far end has to be an HTTP proxy: Squid's port is nobody else's.
func (x *examination) wantsProxy() bool { return x.Spec.Remote == tunnel.Endpoint{Port: squidPort} }
