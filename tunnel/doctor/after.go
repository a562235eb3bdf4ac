package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"culvert/aws"
)

func (x *examination) leftoversCheck() Check {
	return Check{
		ID: checkLeftovers, Name: "no session of yours was left open", After: []string{checkIdentity},
		Causes: []Cause{
			{"G1", "sessions of this caller are open for more than an hour", "`aws ssm terminate-session --session-id …`"},
		},
		Run: func(ctx context.Context) Finding {
			if x.identity.ARN == "" {
				return skip("it is not known who the caller is")
			}
			open, err := x.client.ActiveSessions(ctx, x.identity.ARN)
			if err != nil {
				return blind(err)
			}
			var old []string
			for _, s := range open {
				if time.Since(s.Started) > leftAfter {
					old = append(old, s.ID)
				}
			}
			evidence := []string{fmt.Sprintf("%d open", len(open))}
			if len(old) == 0 {
				return pass(evidence...)
			}
			shown := old[:min(len(old), 5)]
			return advise(evidence, &AdviceError{
				ID:      "G1",
				Problem: fmt.Sprintf("%d sessions of %s are open for more than an hour: %s", len(old), x.identity.ARN, strings.Join(shown, ", ")),
				Advice:  "if nobody uses them: " + x.client.Shell().AWS("ssm", "terminate-session", "--session-id", shown[0]),
			})
		},
	}
}

// endedCheck looks for tunnels that were cut although nothing broke.
func (x *examination) endedCheck() Check {
	return Check{
		ID: checkEnded, Name: "no session of yours has run into the account's maximum duration", After: []string{checkIdentity},
		Causes: []Cause{
			{"G5", "sessions of this caller ended when they had lasted as long as the account lets them", "raise the maximum session duration in Session Manager's preferences, or expect a new session then: open connections break, the tunnel stays"},
		},
		Run: func(ctx context.Context) Finding {
			if x.identity.ARN == "" {
				return skip("it is not known who the caller is")
			}
			ended, err := x.client.EndedSessions(ctx, x.identity.ARN)
			if err != nil {
				return blind(err)
			}
			var last aws.PastSession
			expired := 0
			for _, s := range ended {
				if s.Expired() && time.Since(s.Ended) < recently {
					expired, last = expired+1, s
				}
			}
			evidence := []string{fmt.Sprintf("%d ended", len(ended))}
			if expired == 0 {
				return pass(evidence...)
			}
			return advise(evidence, &AdviceError{
				ID:      "G5",
				Problem: fmt.Sprintf("%d sessions of the last day were ended by the account's maximum session duration of %s, the last one %s at %s", expired, last.Longest, last.ID, last.Ended.UTC().Format(time.RFC3339)),
				Advice: "culvert opens another session each time, open connections break: raise \"Maximum session duration\" in the preferences of Session Manager in " + x.client.Region() +
					" (document SSM-SessionManagerRunShell, maxSessionDuration; at most 1440 minutes), or switch it off",
			})
		},
	}
}

const (
	// recently is how long ago a session may have ended for its end to be told.
	recently = 24 * time.Hour
	// leftAfter is the age from which an open session is taken to be left behind.
	leftAfter = time.Hour
	// soon is how long before the end of the credentials people are told of it.
	soon = 30 * time.Minute
)

func (x *examination) outlookCheck() Check {
	return Check{
		ID: checkOutlook, Name: "nothing will end a tunnel soon", After: []string{checkAgent},
		Causes: []Cause{
			{"G2", "the credentials end within half an hour and do not renew themselves", "renew them: an open session goes on, but none can be resumed or opened"},
			{"G3", "the service has a single task: its deployment or failure is everybody's", "`aws ecs update-service … --desired-count 2`; another container instance for a DAEMON service"},
			{"G4", "the task runs on Spot capacity", "a base of 1 on FARGATE"},
		},
		Run: func(ctx context.Context) Finding {
			var advice []*AdviceError
			var evidence []string
			if end, err := x.client.Expires(ctx); err == nil && !end.IsZero() && time.Until(end) < soon {
				advice = append(advice, &AdviceError{ID: "G2", Problem: "the credentials end at " + end.UTC().Format(time.RFC3339), Advice: "renew them before: an open session goes on, but none can be resumed or opened"})
			}
			s, t := x.found.Service, x.found.Task
			if s.Name != "" {
				evidence = append(evidence, fmt.Sprintf("%d tasks of the service can carry a session", x.found.Tasks))
			}
			if s.Name != "" && s.Desired == 1 {
				advice = append(advice, &AdviceError{ID: "G3", Problem: "service " + s.Name + " wants a single task", Advice: x.client.Origin(s).More(aws.Target{Cluster: s.Cluster, Service: s.Name}, 2)})
			}
			if strings.Contains(t.CapacityProvider, "SPOT") {
				advice = append(advice, &AdviceError{ID: "G4", Problem: "the task runs on Spot capacity (" + t.CapacityProvider + "), which AWS takes back with two minutes' notice", Advice: "give the service a base of 1 on FARGATE"})
			}
			return advise(evidence, advice...)
		},
	}
}

// isAgentTrouble reports whether what is wrong can come from the task's role or network, which are only examined then.
func (x *examination) isAgentTrouble() bool {
	if e, ok := errors.AsType[*aws.NotReadyError](x.found.Err); ok {
		return e.Cause == aws.CauseAgentStopped || e.Cause == aws.CauseAgentPending || e.Cause == aws.CauseAgentMissing
	}
	return is[*aws.NotConnectedError](x.ownErr)
}
