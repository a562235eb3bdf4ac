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

// The runner of GitHub masks a secret after a line in the job's log has told it to. The process in the background does not write
// to that log; the up that has started it and waits for it does. So the process tells its secrets to up over a pipe. The pipe is
// the process's standard input, as that can be passed on every system, and the process does not read from it. Once the tunnels
// are ready nobody reads the pipe any more. Later secrets are not masked, but no log of the job shows them either.

// confidant is the up to which the process in the background tells secrets. Methods of a nil confidant do nothing. It is safe for
// concurrent use.
type confidant struct {
	mu   sync.Mutex
	pipe io.Writer // nil after leave
}

// confidantAt returns nil unless in is a pipe, as no secret must be written to a file or a terminal.
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

// tell tells up a secret.
func (c *confidant) tell(secret string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe != nil {
		_ = json.NewEncoder(c.pipe).Encode(secret) //nolint:errchkjson // after an error nobody reads the pipe any more
	}
}

// leave tells up, with an empty word, that no more secrets come. It cannot close the pipe, as that is also the standard input of
// programs that fetch credentials.
func (c *confidant) leave() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe != nil {
		_ = json.NewEncoder(c.pipe).Encode("") //nolint:errchkjson // after an error nobody reads the pipe any more
	}
	c.pipe = nil
}

// masksWithin is how long up waits for the last secrets after the tunnels are ready, when they are already in the pipe.
const masksWithin = 2 * time.Second

// listen masks the secrets that a process in the background tells over a pipe. The process gets in, the end of the pipe to write
// to. heard is closed after the last secret. Outside of a GitHub job all three are nil.
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
		defer out.Close() //nolint:errcheck // it is only read
		words := json.NewDecoder(out)
		for secret := ""; words.Decode(&secret) == nil && secret != ""; {
			a.github.Mask(secret)
		}
	}()
	return in, all, nil
}
