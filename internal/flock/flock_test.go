package flock_test

import (
	"os"
	"path/filepath"
	"testing"

	"culvert/internal/flock"
)

func TestALockIsHeldByOneAndGivenBackWithItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if locked, err := flock.Try(first); !locked || err != nil {
		t.Fatalf("got %t, %v, want the lock of a file that nobody has", locked, err)
	}
	if _, err := first.WriteString("{}"); err != nil {
		t.Fatal(err)
	}
	if locked, err := flock.Try(second); locked || err != nil {
		t.Errorf("got %t, %v, want it to be held by the other", locked, err)
	}
	if body, err := os.ReadFile(path); string(body) != "{}" {
		t.Errorf("got %q, %v: what a locked file holds is to be readable", body, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if locked, err := flock.Try(second); !locked || err != nil {
		t.Errorf("got %t, %v, want the lock that was given back", locked, err)
	}
	if locked, err := flock.Try(first); locked || err == nil {
		t.Errorf("got %t, %v: a closed file has no lock", locked, err)
	}
}
