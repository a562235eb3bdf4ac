package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/aws"
)

// longestWatch bounds how long an agent is watched.
const longestWatch = 10 * time.Second

// crashes watches an agent that does not run, for no reason that is known: an agent that crashes is started anew again and again.
// It returns an error about that, or nil when the agent was not started anew meanwhile.
func (x *examination) crashes(ctx context.Context, err error) error {
	e, ok := errors.AsType[*aws.NotReadyError](err)
	if !ok || e.Suspect != aws.SuspectNone || (e.Cause != aws.CauseAgentStopped && e.Cause != aws.CauseAgentPending) {
		return nil
	}
	watch := min(x.Patience/2, longestWatch)
	ctx, cancel := context.WithTimeout(ctx, watch)
	defer cancel()
	again := time.NewTicker(watch / 4)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
			if seen := x.restarted(ctx, e.Target); seen != nil {
				return seen
			}
		}
	}
}

// restarted returns an error when a container's agent was started anew since it was first looked at; nil when it was not, or that
// is not known.
func (x *examination) restarted(ctx context.Context, t aws.Target) error {
	before := x.found.Container.Agent.StartedAt
	now, err := x.client.AgentOf(ctx, t)
	if err != nil || before.IsZero() || now.StartedAt.IsZero() || now.StartedAt.Equal(before) {
		return nil //nolint:nilerr // what cannot be seen is not said
	}
	at := func(when time.Time) string { return when.UTC().Format("15:04:05.0") }
	origin := x.found.Task.Origin
	if x.found.Service.Name != "" {
		origin = x.client.Origin(x.found.Service)
	}
	return &AdviceError{
		ID:      "C11",
		Problem: fmt.Sprintf("the exec agent of %s crashes: it was started at %s and again at %s", t, at(before), at(now.StartedAt)),
		Advice: "give the task more memory, the agent is the first that the kernel ends; else " +
			(&aws.NotReadyError{Target: t, Cause: aws.CauseAgentStopped, Origin: origin}).Remedy(),
	}
}
