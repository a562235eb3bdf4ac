package tunnel

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"culvert/aws"
	"culvert/internal/flock"
)

const (
	journalSuffix = ".json"
	// learnWithin bounds the call that asks AWS for the account of a client.
	learnWithin = 10 * time.Second
)

// Journal notes the open sessions of this process in a file of its own (0600), so that the next process knows which sessions a
// killed one has left behind. The file holds ids, never tokens. A nil *Journal notes nothing. Safe for concurrent use.
type Journal struct {
	path string
	log  *slog.Logger

	ctx      context.Context //nolint:containedctx // the life of the journal; ended by Close
	cancel   context.CancelFunc
	learning sync.WaitGroup

	mu     sync.Mutex
	file   *os.File             // locked as long as this process lives; nil after Close
	open   map[string]noted     // the open sessions, by id
	asking map[*aws.Client]bool // clients whose accounts AWS is being asked for
}

// noted is an open session and the client that has opened it, which may learn its account only after the session was noted.
type noted struct {
	Left

	client *aws.Client
}

// OpenJournal starts a journal in dir.
func OpenJournal(dir string, log *slog.Logger) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal of sessions: %w", err)
	}
	file, err := flock.Create(dir, "*"+journalSuffix)
	if err != nil {
		return nil, fmt.Errorf("journal of sessions: %w", err)
	}
	j := &Journal{path: file.Name(), log: log, file: file, open: make(map[string]noted), asking: make(map[*aws.Client]bool)}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j, nil
}

// add notes a session at once. Where the client does not know its account yet, AWS is asked for it in the background and the
// account is noted when it is known.
func (j *Journal) add(session string, target aws.Target, client *aws.Client) {
	if j == nil {
		return
	}
	j.change(func() {
		j.open[session] = noted{client: client, Left: Left{
			Session: session, Target: target.String(), Region: client.Region(), Endpoint: client.ServedAt(),
			Process: os.Getpid(), Started: time.Now(),
		}}
		if client.KnownAccount() == "" && !j.asking[client] && j.file != nil {
			j.asking[client] = true
			j.learning.Go(func() { j.learn(client) })
		}
	})
}

// learn asks AWS for the account of a client and writes it into the notes of the client's sessions.
func (j *Journal) learn(client *aws.Client) {
	ctx, cancel := context.WithTimeout(j.ctx, learnWithin)
	defer cancel()
	_, err := client.Account(ctx)
	if err != nil && j.ctx.Err() == nil {
		j.log.Warn("the account of a session could not be noted", "error", err)
	}
	j.change(func() { delete(j.asking, client) })
}

func (j *Journal) remove(session string) {
	if j == nil {
		return
	}
	j.change(func() { delete(j.open, session) })
}

// tried notes that a session could not be terminated.
func (j *Journal) tried(session string) {
	if j == nil {
		return
	}
	j.change(func() {
		if n, noted := j.open[session]; noted {
			n.Tried = true
			j.open[session] = n
		}
	})
}

func (j *Journal) change(do func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	do()
	if j.file == nil {
		return
	}
	all := make([]Left, 0, len(j.open))
	for _, n := range j.open {
		n.Account = n.client.KnownAccount()
		all = append(all, n.Left)
	}
	if err := writeJournal(j.file, all); err != nil {
		j.log.Warn("a session could not be noted", "file", j.path, "error", err)
	}
}

// writeJournal replaces the content of a file. A process that is killed in the midst of it leaves the new list with a rest of the
// old one behind it, at which no reader looks.
func writeJournal(file *os.File, all []Left) error {
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	content = append(content, '\n')
	if _, err := file.WriteAt(content, 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(content)))
}

// Close removes the file, unless sessions are still noted as open: the next start finds these.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.cancel()
	j.learning.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	file := j.file
	j.file = nil
	if len(j.open) > 0 {
		return file.Close()
	}
	return flock.Remove(file)
}
