package deploy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// load holds many connections at once and carries much over one, and logs what that costs Squid.
func load(t *testing.T, pid int) {
	t.Helper()
	const connections, size = 500, 100 << 20
	proxy := netip.MustParseAddrPort("127.0.0.1:3128")
	before := memory(t, pid)
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for i := range connections {
		conn, status := ask(t, proxy, "CONNECT orders.internal:8080 HTTP/1.1\r\nHost: x\r\n\r\n")
		open = append(open, conn)
		if status != http.StatusOK {
			t.Fatalf("connection %d of %d: got %d, want 200", i+1, connections, status)
		}
	}
	after, busy := memory(t, pid), processor(t, pid)
	conn := open[0]
	if _, err := io.WriteString(conn, "GET /big HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, conn)
	if err != nil || got < size {
		t.Errorf("got %d bytes, %v, want %d", got, err, size)
	}
	t.Logf("Squid: %d MB at rest, %d kB for each of %d tunnels, %s of CPU for 100 MB through one",
		before>>20, (after-before)/connections>>10, connections, processor(t, pid)-busy)
}

// memory is the resident memory of a process.
func memory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// processor is the CPU time that a process has used.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the program's name before it may hold spaces
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, see proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}
