package emulator

import (
	"fmt"
	"time"

	"culvert/aws/wire"
)

// KillAgent ends the exec agent of a task and the processes of its sessions without notice, as kill -9 of all of them would:
// their sockets and their connections to destinations are gone, what was in transit is lost, and no session is closed. The
// service accepts no new sessions for the agent (TargetNotConnected), and tells the clients that it is away
// (Faults.PauseClient). For ECS the task and the agent stay RUNNING, until StopTask or SetAgent changes that.
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

// kill ends the agent's process for a session.
func (s *session) kill() {
	connected := s.agentConnected.Swap(false)
	s.stop()
	s.mu.Lock()
	s.agentSince = time.Time{} // there is no socket that could be due to be closed
	s.mu.Unlock()
	s.up.discard()
	s.down.discard()
	if connected {
		s.tellClient(wire.PausePublication)
	}
}
