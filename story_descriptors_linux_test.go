package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// nearlyAll of 64 descriptors are more than a tunnel without connections has, and less than there are.
const nearlyAll = 44

// TestFewDescriptors runs the stories of testdata/descriptors, in which culvert may have fewer files open than it has
// clients. Beside the commands of TestStories they have crowd, exhausted and disperse.
func TestFewDescriptors(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	p := stories("testdata/descriptors")
	var clients crowd
	p.Cmds["crowd"] = clients.gather
	p.Cmds["exhausted"] = exhausted
	p.Cmds["disperse"] = func(*testscript.TestScript, bool, []string) { clients.disperse() }
	testscript.Run(t, p)
}

// crowd is many clients at once, each in the middle of a request.
type crowd struct {
	mu    sync.Mutex
	conns []net.Conn
}

// gather adds clients.
//
//	crowd NUMBER ADDRESS
func (c *crowd) gather(ts *testscript.TestScript, _ bool, args []string) {
	number, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Defer(c.disperse)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	failed := make(chan error, number)
	for range number {
		go func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", args[1])
			if err == nil {
				c.mu.Lock()
				c.conns = append(c.conns, conn)
				c.mu.Unlock()
				_, err = conn.Write([]byte("GET http://orders.internal/health HTTP/1.1\r\n"))
			}
			failed <- err
		}()
	}
	for range number {
		err = errors.Join(err, <-failed)
	}
	ts.Check(err)
}

// disperse closes them all.
func (c *crowd) disperse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// exhausted waits until a process has opened nearly all that it may, and no more for a while.
//
//	exhausted PID
func exhausted(ts *testscript.TestScript, _ bool, args []string) {
	last := 0
	for late := time.Now().Add(patience); ; {
		open, err := os.ReadDir(filepath.Join("/proc", args[0], "fd"))
		ts.Check(err)
		if len(open) >= nearlyAll && len(open) == last {
			ts.Logf("%d descriptors", len(open))
			return
		}
		if last = len(open); time.Now().After(late) {
			ts.Check(fmt.Errorf("%d descriptors are open", last))
		}
		time.Sleep(300 * time.Millisecond)
	}
}
