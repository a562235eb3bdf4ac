package aws

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"culvert/internal/say"
)

// PastSession is a session as the service lists it, open or ended.
type PastSession struct {
	ID, Target, Owner string
	Started           time.Time
	Ended             time.Time     // zero while it is open
	Longest           time.Duration // how long the account lets it last; 0 when there is no limit
}

// atLimit is how much a session's duration may differ from its limit for the limit to be why it ended: AWS records both times
// by itself.
const atLimit = 30 * time.Second

// Expired reports whether the account's maximum duration has ended the session.
func (s PastSession) Expired() bool {
	return s.Longest > 0 && !s.Ended.IsZero() && (s.Ended.Sub(s.Started)-s.Longest).Abs() < atLimit
}

// ActiveSessions are the open sessions of an owner (an ARN) on the first page of the service's list, oldest first.
func (c *Client) ActiveSessions(ctx context.Context, owner string) ([]PastSession, error) {
	return c.sessions(ctx, owner, ssmtypes.SessionStateActive)
}

// EndedSessions are the ended sessions of an owner (an ARN) on the first page of the service's list, oldest first.
func (c *Client) EndedSessions(ctx context.Context, owner string) ([]PastSession, error) {
	return c.sessions(ctx, owner, ssmtypes.SessionStateHistory)
}

func (c *Client) sessions(ctx context.Context, owner string, state ssmtypes.SessionState) ([]PastSession, error) {
	out, err := c.ssm.DescribeSessions(ctx, &ssm.DescribeSessionsInput{
		State:   state,
		Filters: []ssmtypes.SessionFilter{{Key: ssmtypes.SessionFilterKeyOwner, Value: &owner}},
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", c.explain(ctx, err, about{}))
	}
	var found []PastSession
	for _, s := range out.Sessions {
		if !isSessionID(sdk.ToString(s.SessionId)) {
			return nil, fmt.Errorf("list sessions: %w", &AnswerError{Operation: "ssm:DescribeSessions", Problem: "a session id is none of AWS's"})
		}
		minutes, _ := strconv.Atoi(sdk.ToString(s.MaxSessionDuration)) // empty without a limit
		found = append(found, PastSession{
			ID: sdk.ToString(s.SessionId), Target: say.Brief(sdk.ToString(s.Target)), Owner: sdk.ToString(s.Owner),
			Started: sdk.ToTime(s.StartDate), Ended: sdk.ToTime(s.EndDate), Longest: time.Duration(minutes) * time.Minute,
		})
	}
	slices.SortFunc(found, func(a, b PastSession) int { return a.Started.Compare(b.Started) })
	return found, nil
}
