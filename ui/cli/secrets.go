package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// The runner of GitHub hides a secret once a line of the job's log has told it to. The process in the background has no part
// in that log, only the up that has started it and waits for it. So it tells the secrets over a pipe, which is its standard
// input, as that can be handed over on every system; nothing is read from there. From the moment the tunnels are ready
// nobody listens any more. What comes later is masked by nobody, and shown by nobody either.

// confidant is the up to which secrets are told. A nil one is told nothing. Safe for concurrent use.
type confidant struct {
	mu   sync.Mutex
	pipe io.Writer // nil afterwards
}

// confidantAt returns nil unless in is a pipe: a file or a terminal must not get to know.
func confidantAt(in io.Reader) *confidant {
	file, ok := in.(*os.File)
	if !ok {
		return nil
	}
	if info, err := file.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return nil
	}
	return &confidant{pipe: file}
}

// tell passes a secret on.
func (c *confidant) tell(secret string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe != nil {
		_ = json.NewEncoder(c.pipe).Encode(secret) //nolint:errchkjson // nobody listens any more
	}
}

// leave ends it, with an empty word: the pipe stays open, as it is the standard input of what fetches credentials, too.
func (c *confidant) leave() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe != nil {
		_ = json.NewEncoder(c.pipe).Encode("") //nolint:errchkjson // the same
	}
	c.pipe = nil
}

// masksWithin is how long the last secrets may take after the tunnels are ready: they are in the pipe by then.
const masksWithin = 2 * time.Second

// listen masks what a process in the background tells over a pipe, of which it gets the end in. heard is closed with the last
// word. It is for jobs of GitHub alone; elsewhere all three are nil.
func (a *app) listen() (in *os.File, heard <-chan struct{}, err error) {
	if a.github == nil {
		return nil, nil, nil
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a way for secrets that are to be masked: %w", err)
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		defer out.Close() //nolint:errcheck // only read
		words := json.NewDecoder(out)
		for secret := ""; words.Decode(&secret) == nil && secret != ""; {
			a.github.Mask(secret)
		}
	}()
	return in, all, nil
}
