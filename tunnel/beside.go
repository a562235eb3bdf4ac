package tunnel

import (
	"context"
	"errors"
	"fmt"

	"culvert/aws"
)

// startBeside opens a session to the lane's target. Where Session Manager has no connection to that container, whatever ECS
// says about its agent, it goes on with the others of the task that will do as well, the best first; the next task is for
// the tunnel to choose.
func (l *lane) startBeside(ctx context.Context, document aws.Document) (aws.Session, error) {
	var tried []string
	for {
		session, err := l.client.StartSession(ctx, l.target, document)
		silent, ok := errors.AsType[*aws.NotConnectedError](err)
		if !ok || ctx.Err() != nil {
			return session, err
		}
		next, found := l.client.Beside(ctx, l.target)
		if !found {
			silent.Tried = tried
			return session, fmt.Errorf("start session: %w", silent)
		}
		l.log.Info("Session Manager has no connection to the container, trying another one of the task", "container", l.target.Container, "other", next.Container)
		tried = append(tried, l.target.Container)
		l.target = next
	}
}
