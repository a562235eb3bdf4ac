package tunnel_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel"
)

func openJournal(t *testing.T, dir, region string) (*tunnel.Journal, []tunnel.Left) {
	t.Helper()
	j, left, err := tunnel.OpenJournal(dir, region, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, left
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOpenSessionsAreNotedUntilTheyAreTerminated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	j, _ := openJournal(t, dir, "eu-west-1")
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Journal: j}, nil)
	tn := w.open(tunnel.Spec{})
	noted := files(t, dir)
	if len(noted) != 1 {
		t.Fatalf("files %v", noted)
	}
	content, err := os.ReadFile(noted[0])
	if err != nil || !strings.Contains(string(content), tn.Link().Session) {
		t.Errorf("the journal says %s, %v; want session %s", content, err, tn.Link().Session)
	}
	if info, err := os.Stat(noted[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// Another process that starts now leaves a living one's sessions alone.
	if _, left := openJournal(t, dir, "eu-west-1"); len(left) != 0 {
		t.Errorf("a living process's sessions count as left: %v", left)
	}
	if err := w.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(noted[0]); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestSessionsOfADeadProcessAreFoundOnceAndTerminated(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	dir := t.TempDir()
	record := `[{"Session":"` + session + `","Target":"c/s/t/app","Region":"eu-west-1","Process":1,"Started":"2100-01-01T00:00:00Z"},
		{"Session":"elsewhere","Target":"x","Region":"us-east-1","Process":1,"Started":"2100-01-01T00:00:00Z"},
		{"Session":"long-over","Target":"x","Region":"eu-west-1","Process":1,"Started":"2000-01-01T00:00:00Z"}]`
	for name, content := range map[string]string{"1.json": record, "2.json": "[{", "3.json": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, left := openJournal(t, dir, "eu-west-1")
	if len(left) != 1 || left[0].Session != session {
		t.Fatalf("left: %v", left)
	}
	if err := tunnel.Terminate(t.Context(), w.client, left); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the end of the session", func() bool {
		for _, s := range w.account.Sessions() {
			if s.ID == session {
				return false
			}
		}
		return true
	})
	if _, again := openJournal(t, dir, "eu-west-1"); len(again) != 0 {
		t.Errorf("found again: %v", again)
	}
	if _, there := openJournal(t, dir, "us-east-1"); len(there) != 1 || there[0].Session != "elsewhere" {
		t.Errorf("in the other region: %v", there)
	}
}
