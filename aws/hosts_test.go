package aws

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"culvert/internal/need"
)

func TestHostsAreWhatBoto3Says(t *testing.T) {
	if testing.Short() {
		t.Skip("starts moto, and makes three VPCs in it: make test")
	}
	python := need.Command(t, "python3")
	endpoint := moto(t)
	out, err := exec.CommandContext(t.Context(), python, "testdata/hosts.py", endpoint).Output()
	if err != nil {
		t.Fatalf("make the hosts: %v", err)
	}
	var said []struct {
		Source string   `json:"source"`
		Name   string   `json:"name"`
		Host   string   `json:"host"`
		Port   uint16   `json:"port"`
		Groups []string `json:"groups"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	client, err := Connect(t.Context(), Options{Endpoint: endpoint, Region: "eu-west-1", Keys: Keys{ID: "id", Secret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	found := client.AccountHosts(t.Context())
	var got, want []string
	for _, h := range found.Hosts {
		if h.Source == "elasticache" || h.Source == "servicediscovery" {
			h.Groups = nil // moto has none for them
		}
		got = append(got, fmt.Sprint(h.Source, " ", h.Name, " ", h.Host, " ", h.Port, " ", slices.Sorted(slices.Values(h.Groups))))
	}
	for _, h := range said {
		want = append(want, fmt.Sprint(h.Source, " ", h.Name, " ", h.Host, " ", h.Port, " ", h.Groups))
	}
	slices.Sort(want)
	want = slices.Compact(want) // moto lists a service in every namespace
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("boto3 does not say: %s", line)
		}
	}
	if len(want) < 50 || len(got) != len(want) {
		t.Errorf("got %d hosts, want %d", len(got), len(want))
	}
	for _, gap := range found.Gaps { // moto has no answer to these
		if text := gap.Error(); !strings.Contains(text, "ListWorkgroups") && !strings.Contains(text, "DescribeServerlessCaches") {
			t.Error(gap)
		}
	}
	vpcs := map[string]bool{}
	for _, h := range found.Hosts {
		if h.Source == "rds" {
			vpcs[h.VPC] = true
		}
	}
	if len(vpcs) != 3 || vpcs[""] {
		t.Errorf("got the VPCs %v, want three", vpcs)
	}
}

// moto starts AWS's stand-in and returns its endpoint.
func moto(t *testing.T) string {
	t.Helper()
	server := need.Command(t, "moto_server")
	port := strconv.Itoa(int(need.Port(t)))
	cmd := exec.CommandContext(t.Context(), server, "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	need.Eventually(t, "moto answers", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return "http://127.0.0.1:" + port
}
