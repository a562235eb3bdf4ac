package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws/emulator"
)

// sights are what the stories of hosts that move, swallow or are not what their port says have beside the other commands.
func sights() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"serve": serve, "host": hostAt, "swallow": swallow, "orphan": orphan, "reaches": reaches, "connect": connect, "echoes": echoes,
	}
}

// serve starts a server on loopback, keeps its address in a variable and, with end, closes its listener as a failed instance
// does, while the open connections stay. One called http speaks that, others say their name and then echo.
//
//	serve VARIABLE [end]
func serve(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	if len(args) > 1 {
		ts.Check(s.servers[args[0]].Close())
		return
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	s.servers[args[0]] = listener
	ts.Setenv(args[0], listener.Addr().String())
	ctx, stop := context.WithCancel(context.Background())
	ts.Defer(func() { stop(); _ = listener.Close() })
	if args[0] == "http" {
		server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
		go func() { _ = server.Serve(listener) }()
		ts.Defer(func() { _ = server.Close() })
		return
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			go func() {
				_, _ = conn.Write([]byte(args[0]))
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
}

// hostAt gives a name of the account's private network an address, or another one.
//
//	host NAME ADDRESS
func hostAt(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(storyOf(ts).account.MoveHost(args[0], args[1]))
}

// swallow makes the private network drop what is sent to some ports, and no others.
//
//	swallow [PORT...]
func swallow(ts *testscript.TestScript, _ bool, args []string) {
	var ports []uint16
	for _, arg := range args {
		port, err := strconv.ParseUint(arg, 10, 16)
		ts.Check(err)
		ports = append(ports, uint16(port))
	}
	storyOf(ts).account.Fault(func(f *emulator.Faults) { f.Swallow = ports })
}

// orphan stops the task of automation/squid that has a session; in those that are left nothing listens on the port, nor in the
// one that ECS starts in its place, which may be the first to be found.
//
//	orphan PORT
func orphan(ts *testscript.TestScript, _ bool, args []string) {
	e := storyOf(ts).account
	port, err := strconv.ParseUint(args[0], 10, 16)
	ts.Check(err)
	tasks := e.Tasks("automation", "squid")
	i := slices.IndexFunc(tasks, func(id string) bool { return strings.Contains(e.Sessions()[0].Target, id) })
	e.Fault(func(f *emulator.Faults) { f.Refuse = []uint16{uint16(port)} })
	ts.Check(e.StopTask(tasks[i], "replaced"))
}

// greeted connects and reads the name of who answers; it is empty when nobody does.
func greeted(address string, length int) (net.Conn, string) {
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, ""
	}
	name := make([]byte, length)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	n, _ := io.ReadFull(conn, name)
	return conn, string(name[:n])
}

// reaches waits until new connections to an address reach the server of that name.
//
//	reaches ADDRESS NAME
func reaches(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func() error {
		conn, name := greeted(args[0], len(args[1]))
		if conn != nil {
			_ = conn.Close()
		}
		if name != args[1] {
			return fmt.Errorf("new connections reach %q, want %q", name, args[1])
		}
		return nil
	})
}

// connect opens a connection to a server of some name, and keeps it until the story ends.
//
//	connect CONNECTION ADDRESS NAME
func connect(ts *testscript.TestScript, _ bool, args []string) {
	conn, name := greeted(args[1], len(args[2]))
	if name != args[2] {
		ts.Fatalf("%s reaches %q, want %q", args[1], name, args[2])
	}
	ts.Defer(func() { _ = conn.Close() })
	storyOf(ts).conns[args[0]] = conn
}

// echoes sends bytes on a connection and wants the same ones back.
//
//	echoes CONNECTION
func echoes(ts *testscript.TestScript, _ bool, args []string) {
	conn := storyOf(ts).conns[args[0]]
	sent := make([]byte, 300_000)
	_, _ = rand.Read(sent)
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		written <- err
	}()
	ts.Check(conn.SetReadDeadline(time.Now().Add(patience)))
	var got bytes.Buffer
	_, err := io.CopyN(&got, conn, int64(len(sent)))
	ts.Check(errors.Join(err, <-written))
	if sha256.Sum256(got.Bytes()) != sha256.Sum256(sent) {
		ts.Fatalf("other bytes came back on %s", args[0])
	}
}
