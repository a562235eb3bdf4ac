package doctor

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"culvert/aws"
	"culvert/tunnel"
)

// examination is one Run: what its checks have found for later ones. Every field is written by the check that its comment names,
// and only read by checks that wait for that one. destinationCheck also writes Query and Spec.Remote.
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

	leaving sync.Mutex
	left    []*tunnel.UnendedError // the sessions that end could not terminate; leaving guards it
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

// checks returns the checks of the examination in the order of the path, which is also the order of their cost.
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

// needed returns the wanted checks and those that they build on or wait for, in the order of all; all when none is wanted.
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

// describe adds to the subject what a check that is over has found of it.
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

// fail is a finding of something that breaks the path.
func fail(err error, evidence ...string) Finding {
	return Finding{Verdict: Fail, Err: err, Evidence: evidence}
}

// skip is the finding of a check that looked at nothing.
func skip(why string) Finding { return Finding{Verdict: Skipped, Why: why} }

// blind is the finding of a check that could not look. For a denied call, the remedy of err is the policy statement that allows
// it.
func blind(err error) Finding {
	f := Finding{Verdict: Skipped, Why: "could not look: " + err.Error(), Err: err}
	if denied, ok := errors.AsType[*aws.DeniedError](err); ok {
		f.Why = "may not look: " + denied.Action + " is not allowed"
	}
	return f
}

// advise turns advice into a finding: a warning, or a pass when there is no advice.
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

// gapOf is why a part of what ECS knows, named by what, could not be seen; nil when it was.
func (x *examination) gapOf(what string) error {
	for _, g := range x.found.Gaps {
		if gap, ok := errors.AsType[*aws.GapError](g); ok && gap.What == what {
			return gap.Err
		}
	}
	return nil
}

// wantsProxy reports whether the far end has to be an HTTP proxy, as it is on Squid's port.
func (x *examination) wantsProxy() bool { return x.Spec.Remote == tunnel.Endpoint{Port: squidPort} }
