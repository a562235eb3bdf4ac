package emulator

import (
	"fmt"
	"time"

	"culvert/aws/wire"
)

// KillAgent ends the exec agent of a task and its workers without a word, as a kill -9 of all of them does: their sockets
// and those to the destinations are gone, what was on its way is lost, and no session of theirs is closed. The service takes
// no new sessions for it (TargetNotConnected) and tells the clients that the agent is away (Faults.PauseClient). Task and
// agent stay RUNNING for ECS, until StopTask or SetAgent says otherwise.
func (e *Emulator) KillAgent(taskID string) error {
	t, err := e.fleet.killAgent(taskID)
	if err != nil {
		return err
	}
	for _, s := range e.data.sessions() {
		if s.container.task == t {
			s.kill()
		}
	}
	return nil
}

func (a *account) killAgent(taskID string) (*task, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.findTask(taskID)
	if t == nil {
		return nil, fmt.Errorf("kill agent: there is no task %s", taskID)
	}
	for _, k := range t.containers {
		k.killed = true
	}
	return t, nil
}

// kill ends the worker of a session.
func (s *session) kill() {
	connected := s.agentConnected.Swap(false)
	s.stop()
	s.mu.Lock()
	s.agentSince = time.Time{} // no socket is due to be closed
	s.mu.Unlock()
	s.up.discard()
	s.down.discard()
	if connected {
		s.tellClient(wire.PausePublication)
	}
}
