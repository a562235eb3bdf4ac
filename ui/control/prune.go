package control

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"culvert/internal/flock"
)

// Prune removes what sets have left that ended longer than a time ago: their logs and locks, and the records of those that
// nobody has ended. Names that are used once would leave them for ever. The log of a name in keep is no set's.
func (d Dir) Prune(older time.Duration, keep ...string) {
	last := map[string]time.Time{}
	for _, pattern := range []string{filepath.Join(d.Runtime, "*.lock"), filepath.Join(d.Runtime, "*.json"), filepath.Join(d.State, "*.log")} {
		paths, _ := filepath.Glob(pattern) // a directory with brackets in its name keeps its files
		for _, path := range paths {
			name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			info, err := os.Lstat(path)
			if err == nil && nameForm().MatchString(name) && info.ModTime().After(last[name]) {
				last[name] = info.ModTime()
			}
		}
	}
	for _, name := range keep {
		delete(last, name)
	}
	for name, at := range last {
		if time.Since(at) > older {
			d.sweep(name)
		}
	}
}

func (d Dir) sweep(name string) {
	lock, err := flock.Open(d.lockFile(name), os.O_CREATE)
	if err != nil {
		return // somebody is at it
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	if r, err := d.Read(name); err == nil && r.Process.Alive() {
		return
	}
	for _, path := range []string{d.Socket(name), d.record(name), d.Log(name), d.lockFile(name)} {
		_ = os.Remove(path) // the next time then
	}
}
