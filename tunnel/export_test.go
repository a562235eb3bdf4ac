package tunnel

import "time"

// Patrol sets how often the tunnels of e look after their tasks.
func (e *Engine) Patrol(every time.Duration) { e.patrolEvery = every }
