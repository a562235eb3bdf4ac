package tunnel_test

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/tunnel"
)

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// connectVia asks the proxy of a dynamic tunnel for a host by CONNECT and returns once it is connected.
func (w *world) connectVia(tn *tunnel.Tunnel, to string) net.Conn {
	w.Helper()
	conn := w.dial(tn)
	if _, err := conn.Write([]byte("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n")); err != nil {
		w.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || n < 12 || string(answer[9:12]) != "200" {
		w.Fatalf("CONNECT %s: %v %s", to, err, answer[:n])
	}
	return conn
}

// How long a request to a new host and to a known one take, beside what they must. Machines are busy, so the figures are judged
// where they are made (bench), and by CULVERT_PACE here.
func TestThePaceOfADynamicTunnel(t *testing.T) {
	w := newPoolWorld(t, 2, func(f *emulator.Faults) { f.Delay = 10 * time.Millisecond })
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	const times = 11
	one := []byte("x")
	var cold, least, warm, plain []time.Duration
	for i := range times {
		began := time.Now()
		conn := w.connectVia(tn, host(i)+":80")
		mustExchange(t, conn, one)
		cold = append(cold, time.Since(began))
		_ = conn.Close()

		began = time.Now()
		direct := w.start(tunnel.Spec{Remote: tunnel.Endpoint{Host: host(i), Port: 80}})
		w.events.await(t, direct, tunnel.Open)
		open := time.Since(began)
		began = time.Now()
		conn = w.dial(direct)
		mustExchange(t, conn, one)
		_ = conn.Close()
		trip := time.Since(began)
		least = append(least, open+trip)
		for range 5 {
			began = time.Now()
			conn = w.dial(direct)
			mustExchange(t, conn, one)
			plain = append(plain, time.Since(began))
			_ = conn.Close()
			began = time.Now()
			conn = w.connectVia(tn, host(i)+":80")
			mustExchange(t, conn, one)
			warm = append(warm, time.Since(began))
			_ = conn.Close()
		}
		if err := direct.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	coldest, floor, warmest, base := median(cold), median(least), median(warm), median(plain)
	t.Logf("cold %s beside %s (%.2f), warm %s beside %s (%.2f)", coldest, floor, float64(coldest)/float64(floor), warmest, base, float64(warmest)/float64(base))
	if os.Getenv("CULVERT_PACE") != "" && (float64(coldest) > 1.3*float64(floor) || float64(warmest) > 1.1*float64(base)) {
		t.Error("slower than it should be")
	}
}
