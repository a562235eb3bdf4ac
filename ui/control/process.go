package control

import "os"

// Process is a process as it can be told from a later one with the same number.
type Process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // by the system's own count
}

// Self is the process that asks.
func Self() Process { return Process{PID: os.Getpid(), Started: startOf(os.Getpid())} }

// Of returns a running process by its number; ok is false when there is none.
func Of(pid int) (p Process, ok bool) {
	started := startOf(pid)
	return Process{PID: pid, Started: started}, started != ""
}

// Alive reports whether the process still runs.
func (p Process) Alive() bool { return p.PID > 0 && p.Started != "" && startOf(p.PID) == p.Started }

// Kill ends the process at once, unless it is gone and its number has passed on.
func (p Process) Kill() error {
	if !p.Alive() {
		return nil
	}
	running, err := os.FindProcess(p.PID)
	if err != nil {
		return err
	}
	return running.Kill()
}
