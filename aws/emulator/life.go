package emulator

import (
	"math/rand/v2"
	"time"
)

// deployEvery is the mean number of events of Life for each deployment of a service; the other events end one task.
const deployEvery = 5

// play schedules the fleet's plan.
func (a *account) play(plan []Planned) {
	for _, planned := range plan {
		a.emulator.clock.after(planned.After, func() { planned.Do(a.emulator) })
	}
}

// live makes something happen in the account from time to time. The seed determines what, and in which order.
func (a *account) live(mean time.Duration, chance *rand.Rand) {
	if mean <= 0 {
		return
	}
	wait := mean/2 + time.Duration(chance.Int64N(int64(mean)))
	a.emulator.clock.after(wait, func() {
		a.happen(chance)
		a.live(mean, chance)
	})
}

// happen ends a task, or begins a deployment, in a service that is not Steady.
func (a *account) happen(chance *rand.Rand) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var restless []*service
	for _, c := range a.clusters {
		for _, s := range c.services {
			if !s.steady && s.desired > 0 {
				restless = append(restless, s)
			}
		}
	}
	if len(restless) == 0 {
		return
	}
	s := restless[chance.IntN(len(restless))]
	if chance.IntN(deployEvery) == 0 {
		s.pattern.Revision = max(s.pattern.Revision, 1) + 1
		a.redeploy(s)
		return
	}
	if tasks := s.tasks(); len(tasks) > 0 {
		a.end(tasks[chance.IntN(len(tasks))], "Essential container in task exited", "EssentialContainerExited")
	}
}
