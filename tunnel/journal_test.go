package tunnel_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/flock"
	"culvert/internal/need"
	"culvert/tunnel"
)

func openJournal(t *testing.T, dir string) *tunnel.Journal {
	t.Helper()
	j, err := tunnel.OpenJournal(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// endLeft is EndLeft; it returns what was tried.
func endLeft(ctx context.Context, dir string, client *aws.Client) (tried []string, failed []*tunnel.UnendedError) {
	failed = tunnel.EndLeft(ctx, dir, client, slog.New(slog.DiscardHandler), func(l tunnel.Left) { tried = append(tried, l.Session) })
	return tried, failed
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// noted are the sessions in the journals of a directory.
func noted(t *testing.T, dir string) map[string]tunnel.Left {
	t.Helper()
	all := map[string]tunnel.Left{}
	for _, path := range files(t, dir) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var left []tunnel.Left
		if err := json.Unmarshal(content, &left); err != nil && len(content) > 0 {
			t.Fatalf("%s: %v in %q", path, err, content)
		}
		for _, l := range left {
			all[l.Session] = l
		}
	}
	return all
}

// leave writes the journal of a dead process.
func leave(t *testing.T, dir, name string, left ...tunnel.Left) {
	t.Helper()
	content, err := json.Marshal(left)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func alive(e *emulator.Emulator, session string) bool {
	for _, s := range e.Sessions() {
		if s.ID == session {
			return true
		}
	}
	return false
}

func TestOpenSessionsAreNotedUntilTheyAreTerminated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Journal: openJournal(t, dir)}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	if all := files(t, dir); len(all) != 1 {
		t.Fatalf("files %v", all)
	}
	path := files(t, dir)[0]
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// Whose it is follows: the static keys of the emulator do not tell their account.
	need.Eventually(t, "the account in the note", func() bool { return noted(t, dir)[session].Account == "111122223333" })
	if l := noted(t, dir)[session]; l.Region != "eu-west-1" || l.Endpoint != w.account.URL() || l.Process != os.Getpid() {
		t.Errorf("noted %+v", l)
	}
	// Another process that starts now leaves a living one's sessions alone.
	if tried, _ := endLeft(t.Context(), dir, w.client); len(tried) != 0 {
		t.Errorf("a living process's sessions count as left: %v", tried)
	}
	if err := w.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestOnlySessionsOfOnesOwnAccountAreEnded(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	dir, now := t.TempDir(), time.Now()
	mine := tunnel.Left{Session: session, Account: "111122223333", Region: "eu-west-1", Endpoint: w.account.URL(), Started: now}
	over, account, region, endpoint, old := mine, mine, mine, mine, mine
	over.Session = "is-over"
	account.Session, account.Account = "other-account", "999922223333"
	region.Session, region.Region = "other-region", "us-east-1"
	endpoint.Session, endpoint.Endpoint = "other-endpoint", ""
	old.Session, old.Started = "long-over", now.Add(-25*time.Hour)

	leave(t, dir, "elsewhere.json", region, endpoint, old)
	if tried, _ := endLeft(t.Context(), dir, w.client); len(tried) != 0 || w.account.Calls("GetCallerIdentity") != 0 {
		t.Errorf("tried %v and asked %d times who we are: there is nothing to compare", tried, w.account.Calls("GetCallerIdentity"))
	}
	leave(t, dir, "mine.json", mine, over, account)
	if tried, failed := endLeft(t.Context(), dir, w.client); len(tried) != 2 || len(failed) != 0 {
		t.Errorf("tried %v, failed %v; want those of this account", tried, failed)
	}
	need.Eventually(t, "the end of the session", func() bool { return !alive(w.account, session) })
	all := noted(t, dir)
	for _, gone := range []string{session, over.Session, old.Session} {
		if _, there := all[gone]; there {
			t.Errorf("the record of %s is still there", gone)
		}
	}
	for _, others := range []string{account.Session, region.Session, endpoint.Session} {
		if _, there := all[others]; !there {
			t.Errorf("the record of %s is gone", others)
		}
	}
}

// A culvert of before noted no account, and one that could not ask for it has none to note: what this account does not
// know may be another's.
func TestASessionOfUnknownAccountIsEndedWhereItIsKnown(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	dir := t.TempDir()
	record := `[{"session":"` + session + `","target":"c/s/t/app","region":"eu-west-1","process":1,"started":"2100-01-01T00:00:00Z"},
		{"session":"anothers","target":"x","region":"eu-west-1","process":1,"started":"2100-01-01T00:00:00Z"}]`
	for name, content := range map[string]string{"1.json": record, "2.json": "[{", "3.json": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, failed := endLeft(t.Context(), dir, w.client)
	need.Eventually(t, "the end of the session", func() bool { return !alive(w.account, session) })
	all := noted(t, dir)
	if _, there := all["anothers"]; !there || len(all) != 1 || len(failed) != 0 {
		t.Errorf("left %v, failed %v; want the one that this account does not know to stay", all, failed)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files %v, want the empty and the broken ones gone", left)
	}
}

func TestWhatCannotBeEndedStaysForTheNextStart(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	session := w.open(tunnel.Spec{}).Link().Session
	dir := t.TempDir()
	leave(t, dir, "1.json", tunnel.Left{Session: session, Account: "111122223333", Region: "eu-west-1", Endpoint: w.account.URL(), Started: time.Now()})
	w.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Deny}}
	})
	_, failed := endLeft(t.Context(), dir, w.client)
	want := "aws ssm terminate-session --session-id " + session + " --region eu-west-1 --endpoint-url " + w.account.URL()
	if len(failed) != 1 || failed[0].Session != session || !strings.Contains(failed[0].Remedy(), want) {
		t.Fatalf("failed %v, want the session with %q", failed, want)
	}
	if _, there := noted(t, dir)[session]; !there {
		t.Fatal("the record is gone although the session lives")
	}
	w.account.Fault(func(f *emulator.Faults) { f.API = nil })
	if tried, failed := endLeft(t.Context(), dir, w.client); len(tried) != 1 || len(failed) != 0 {
		t.Errorf("tried %v, failed %v", tried, failed)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files %v", left)
	}
}

// Whoever ends sessions has their journal locked: others neither see it as dead nor end them a second time, and if it dies
// itself they are still noted.
func TestOneStartEndsWhatWasLeft(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	dir := t.TempDir()
	leave(t, dir, "1.json", tunnel.Left{Session: "is-over", Account: "111122223333", Region: "eu-west-1", Endpoint: w.account.URL(), Started: time.Now()})
	tunnel.EndLeft(t.Context(), dir, w.client, slog.New(slog.DiscardHandler), func(tunnel.Left) {
		if tried, _ := endLeft(t.Context(), dir, w.client); len(tried) != 0 {
			t.Errorf("ended a second time: %v", tried)
		}
		if _, there := noted(t, dir)["is-over"]; !there {
			t.Error("the record is gone before the session has ended")
		}
	})
}

// 16 starts at once: each looks for journals of the dead and makes its own. None may take another's for a dead one's.
func TestManyStartsAtOnceKeepTheirJournals(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	dir := t.TempDir()
	var starts sync.WaitGroup
	for range 16 {
		starts.Go(func() {
			for range 60 {
				endLeft(t.Context(), dir, w.client)
				j, err := tunnel.OpenJournal(dir, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Error(err)
					return
				}
				if err := j.Close(); err != nil { // removes the file, which has to be there
					t.Errorf("a living journal has lost its file: %v", err)
				}
			}
		})
	}
	starts.Wait()
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files %v", left)
	}
}

func TestAJournalCutOffInTheMiddleTellsWhatItCan(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, "1.json")
	leave(t, dir, "1.json", tunnel.Left{Session: "is-over", Account: "111122223333", Region: "eu-west-1", Endpoint: w.account.URL(), Started: time.Now()})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(content[:len(content)-1], `,{"session":"cut`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if tried, _ := endLeft(t.Context(), dir, w.client); len(tried) != 1 {
		t.Errorf("tried %v, want the record that is whole", tried)
	}
	if _, err := flock.Open(path, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
