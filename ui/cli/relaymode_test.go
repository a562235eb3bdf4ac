package cli

import (
	"bytes"
	"strings"
	"testing"

	"culvert/tunnel"
)

func TestRelayIsOneOfThreeWords(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	for word, want := range map[string]tunnel.RelayMode{"auto": tunnel.RelayAuto, "no": tunnel.RelayNo, "require": tunnel.RelayRequire} {
		s := &shared{}
		if err := s.flags().Set("relay", word); err != nil || relayMode(s.relay) != want {
			t.Errorf("%s: got %d, %v; want %d", word, relayMode(s.relay), err, want)
		}
	}
	if s := (&shared{}); relayMode(s.flags().Lookup("relay").DefValue) != tunnel.RelayAuto {
		t.Error("it is not auto unless it is said otherwise")
	}
	for _, word := range []string{"", "yes", "Auto", "required", "auto,no", "1"} {
		for _, command := range [][]string{{"--headless"}, {"up"}, {"doctor"}} {
			var out, complaint bytes.Buffer
			code := Run(t.Context(), Process{
				Args: append(command, "--demo", "--relay", word, "-c", "automation", "-s", "squid", "-L", "3128"), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaint,
			})
			if code != 2 || !strings.Contains(complaint.String(), "--relay") || !strings.Contains(complaint.String(), "auto, no, require") {
				t.Errorf("%s --relay %q: exit code %d, %s", command, word, code, complaint.String())
			}
		}
	}
}
