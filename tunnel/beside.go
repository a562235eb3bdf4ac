package tunnel

import (
	"context"
	"errors"
	"fmt"

	"culvert/aws"
)

// startBeside opens a session to the lane's target. Where Session Manager has no connection to that container, whatever ECS says
// about its agent, startBeside tries the other containers of the task that serve as well, the best first, and makes the one that
// works the lane's target. It does not go on to another task: that is for the tunnel to choose.
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
