package cli

import (
	"os"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// A bare number is seconds, in every flag that is a duration and from every source.
func TestBareNumberIsSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"30": 30 * time.Second, "1.5": 1500 * time.Millisecond, "90s": 90 * time.Second, "2m": 2 * time.Minute, "0": 0} {
		var d time.Duration
		if err := (durationValue{&d}).Set(text); err != nil || d != want {
			t.Errorf("%q is %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"", "soon", "1h30", "30 s", "inf", "nan", "1e400"} {
		d := time.Hour
		if err := (durationValue{&d}).Set(text); err == nil || d != time.Hour {
			t.Errorf("%q is %s, %v, want an error", text, d, err)
		}
	}
	var s shared
	s.flags().VisitAll(func(f *pflag.Flag) {
		if _, ours := f.Value.(durationValue); f.Value.Type() == "duration" && !ours {
			t.Errorf("--%s does not take a bare number", f.Name)
		}
	})
	inDirectory(t, "", "")
	t.Setenv("CULVERT_WAIT", "30")
	config := t.TempDir() + "/c.yaml"
	if err := os.WriteFile(config, []byte("refresh: 45\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.set.Parse([]string{"--keep-alive", "20", "--config", config}); err != nil {
		t.Fatal(err)
	}
	if err := s.resolve(); err != nil {
		t.Fatal(err)
	}
	if s.reResolve != time.Minute {
		t.Errorf("names are resolved anew after %s", s.reResolve)
	}
	if s.wait != 30*time.Second || s.refresh != 45*time.Second || s.keepAlive != 20*time.Second {
		t.Errorf("got wait %s, refresh %s, keep-alive %s", s.wait, s.refresh, s.keepAlive)
	}
}
