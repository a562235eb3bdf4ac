package headless

import (
	"fmt"
	"os"
	"sync"
)

// maxLog is how many bytes a LogFile has before it begins a new file. One earlier file of that size is kept.
const maxLog = 4 << 20

// LogFile is the log of a run in the background. It never grows beyond a bound, and a full disk does not end the run: what
// cannot be written is lost. It is safe for concurrent use.
type LogFile struct {
	path string

	mu   sync.Mutex
	file *os.File // nil after a new file could not be opened
	size int64
}

// OpenLog opens a log to add to it. Only its owner can read the file.
func OpenLog(path string) (*LogFile, error) {
	l := &LogFile{path: path}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return l, nil
}

func (l *LogFile) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	l.file, l.size = file, 0
	if info, err := file.Stat(); err == nil {
		l.size = info.Size()
	}
	return nil
}

// Write never fails: what cannot be written is lost.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > maxLog {
		l.turn()
	}
	if l.file != nil {
		n, _ := l.file.Write(p) // an error loses the text, see LogFile
		l.size += int64(n)
	}
	return len(p), nil
}

// turn begins a new file; the old one is kept as path.1.
func (l *LogFile) turn() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	_ = os.Rename(l.path, l.path+".1")
	_ = l.open()
}

// Close ends the log.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
