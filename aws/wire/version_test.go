package wire_test

import (
	"errors"
	"testing"

	"culvert/aws/wire"
)

func version(t testing.TB, s string) wire.Version {
	t.Helper()
	v, err := wire.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVersionsCompareByNumber(t *testing.T) {
	ascending := []string{"0.0.0.0", "1.2.99.0", "1.2.331.0", "1.2.331.1", "1.10.0.0", "3.0.196.0", "3.1.1511.0", "10.0.0.0"}
	for i, a := range ascending {
		for j, b := range ascending {
			got := version(t, a).Compare(version(t, b))
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("got %d for %s against %s", got, a, b)
			}
		}
	}
}

func TestVersionsReadAndWriteTheSame(t *testing.T) {
	for in, want := range map[string]string{"3.3.987.0": "3.3.987.0", "3.1": "3.1.0.0", "4294967295.0.0.1": "4294967295.0.0.1"} {
		if got := version(t, in).String(); got != want {
			t.Errorf("got %s for %s, want %s", got, in, want)
		}
	}
	for _, bad := range []string{"", "3.", ".3", "3.1.2.3.4", "v3.1", "3.1-beta", "3.-1.0.0", "3.+1.0.0", "4294967296.0.0.0", "3 .1"} {
		if v, err := wire.ParseVersion(bad); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("got %s, %v for %q, want ErrInvalid", v, err, bad)
		}
	}
}

func TestAgentVersionDecidesHowToCarry(t *testing.T) {
	for _, c := range []struct {
		agent                     string
		mux, keepAlive, terminate bool
	}{
		{"0.0.0.0", false, false, false},
		{"2.3.722.0", false, false, false},
		{"2.3.722.1", false, false, true},
		{"3.0.196.0", false, false, true},
		{"3.0.197.0", true, true, true},
		{"3.1.1511.0", true, true, true},
		{"3.1.1511.1", true, false, true},
		{"3.3.987.0", true, false, true},
		{"10.0.0.0", true, false, true},
	} {
		v := version(t, c.agent)
		if v.Mux() != c.mux || v.KeepAlive() != c.keepAlive || v.TerminateFlag() != c.terminate {
			t.Errorf("agent %s: got mux %t, keepalive %t, terminate flag %t; want %t, %t, %t",
				c.agent, v.Mux(), v.KeepAlive(), v.TerminateFlag(), c.mux, c.keepAlive, c.terminate)
		}
	}
}

func TestTheVersionWeAnnounceKeepsTheAgentsKeepAliveOff(t *testing.T) {
	if v := version(t, wire.ClientVersion); v.Compare(version(t, "1.2.331.0")) <= 0 {
		t.Errorf("got %s, want one above 1.2.331.0 (protocol: the agent decides by it alone)", v)
	}
}
