package tunnel_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// over is a world with a session that is over, but that the API did not let culvert terminate. The session got no handshake, so
// that its agent was not told either.
func over(t *testing.T, o tunnel.Options, kind emulator.APIFaultKind) *world {
	t.Helper()
	w := newWorld(t, need.Server(t, need.Echo), o, func(f *emulator.Faults) { f.AgentStart = time.Hour })
	tn := w.start(tunnel.Spec{})
	w.events.await(t, tn, tunnel.Handshaking)
	session := tn.Link().Session
	w.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: kind}}
	})
	if err := tn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := w.engine.Unended(); len(left) != 1 || left[0].Session != session {
		t.Fatalf("left are %v, want session %s", left, session)
	}
	return w
}

func (w *world) answers() { w.account.Fault(func(f *emulator.Faults) { f.API = nil }) }

func TestASessionIsTerminatedWhenTheAPIAnswersAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	journal, err := tunnel.OpenJournal(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := over(t, tunnel.Options{Journal: journal}, emulator.Unreachable)
	w.answers()
	need.Eventually(t, "no session and nothing to tell of", func() bool {
		return len(w.account.Sessions()) == 0 && len(w.engine.Unended()) == 0
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Errorf("the journal still has it: %v", files)
	}
}

// However long the rest between two tries has become meanwhile.
func TestASessionIsTerminatedAtTheLatestWhenTheEngineCloses(t *testing.T) {
	t.Parallel()
	w := over(t, tunnel.Options{}, emulator.Deny)
	need.Eventually(t, "a few tries", func() bool { return w.account.Calls("TerminateSession") > 6 })
	w.answers()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if left := w.engine.Unended(); len(left) > 0 || len(w.account.Sessions()) > 0 {
		t.Errorf("left are %v", left)
	}
}
