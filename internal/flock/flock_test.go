package flock_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
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

// A file that another one locks and removes between opening and locking it is no longer the one of that name.
func TestTheLockedFileIsTheOneOfThatName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var has atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for won := 0; won < 100; {
				f, err := flock.Open(path, os.O_CREATE)
				if errors.Is(err, flock.ErrHeld) {
					runtime.Gosched()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				won++
				if n := has.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				has.Add(-1)
				if err := os.Remove(path); err != nil {
					t.Errorf("remove what is locked: %v", err)
				}
				_ = f.Close()
			}
		})
	}
	all.Wait()
}
