package deploy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

// get asks the proxy for http://HOST/ and returns the status of the answer.
func get(t *testing.T, proxy netip.AddrPort, host string) int {
	t.Helper()
	return request(t, proxy, "GET http://"+host+"/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
}

func connect(t *testing.T, proxy netip.AddrPort, host string) int {
	t.Helper()
	return request(t, proxy, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
}

func request(t *testing.T, proxy netip.AddrPort, text string) int {
	t.Helper()
	conn, status := ask(t, proxy, text)
	_ = conn.Close()
	return status
}

// ask sends a request to the proxy and returns the status of the answer, 0 if there is none.
func ask(t *testing.T, proxy netip.AddrPort, text string) (net.Conn, int) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%q: %v", strings.SplitN(text, "\r\n", 2)[0], err)
		return conn, 0
	}
	_ = answer.Body.Close() // reads on only until the end of what there is: after a CONNECT nothing
	return conn, answer.StatusCode
}

// tunnelTo opens a tunnel to an embedded account whose task has something on port 3128.
func tunnelTo(t *testing.T, server string) netip.AddrPort {
	t.Helper()
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "automation", Services: []emulator.Service{{Name: "squid", Count: 1, Task: emulator.Task{
			Containers: []emulator.Container{{Name: "squid", Ports: map[uint16]string{3128: server}}},
		}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	key, secret := account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // the test's own is over
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	opened, err := engine.Open(tunnel.Spec{
		Target: aws.Target{Cluster: "automation", Service: "squid"},
		Remote: tunnel.Endpoint{Port: 3128}, Local: netip.MustParseAddrPort("127.0.0.1:13128"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened.Addr()
}
