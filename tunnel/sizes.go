package tunnel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"culvert/internal/trust"
)

const (
	sizesKept     = 64                 // services that are remembered at the most; those with the latest news stay
	sizesFor      = 7 * 24 * time.Hour // how long a service is remembered
	sizesBytes    = 64 << 10           // bytes of the file; a larger one is not read
	serviceLength = 400                // bytes of the name of a service; an entry with a longer one is dropped
)

// Sizes remembers in a file which sizes of messages the service takes, by region and endpoint. The file holds nothing else and
// can be read by its owner alone (0600). Whatever is wrong with it costs no more than a few probes; of two processes that write
// it at the same moment, what one has learned is lost. Without a file, and as a nil *Sizes in Options, nothing is remembered
// longer than the engine lives. Safe for concurrent use.
type Sizes struct {
	path   string
	saving sync.Mutex // held while the file is used, which may take long; mu is not held meanwhile
	failed bool       // the file could not be written, which was logged; saving guards it

	mu    sync.Mutex
	known []sizeOf // what was learned last comes first
	news  bool     // known has something that the file has not
}

// sizeOf is what is known of one service.
type sizeOf struct {
	Service string    `json:"place"`          // region and endpoint, see lane.service; the file has called it so from the beginning
	Good    int       `json:"good,omitempty"` // the largest size that got through
	Bad     int       `json:"bad,omitempty"`  // the least size that did not
	At      time.Time `json:"at"`             // when that was last learned or confirmed
}

// OpenSizes returns what a file remembers; nothing, and a warning in the log, where the file cannot be read or trusted.
func OpenSizes(path string, log *slog.Logger) *Sizes {
	s := &Sizes{path: path}
	known, err := readSizes(path)
	if err != nil {
		log.Warn("sizes of messages that were found out before are not known", "file", path, "error", err)
	}
	s.known = tidySizes(known, time.Now())
	return s
}

func readSizes(path string) ([]sizeOf, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	if !info.Mode().IsRegular() { // opening a pipe, for instance, would block
		return nil, errors.New("it is not a regular file")
	}
	if problem := trust.Problem(info); problem != "" {
		return nil, errors.New("it " + problem)
	}
	file, err := os.Open(path) //nolint:gosec // in the state directory
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, sizesBytes+1))
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	if len(body) > sizesBytes {
		return nil, fmt.Errorf("it has more than %d bytes", sizesBytes)
	}
	var known []sizeOf
	if err := json.Unmarshal(body, &known); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	return known, nil
}

// tidySizes orders entries, the latest first, and drops those that are old, impossible, about a service that a later one is
// about, or too many.
func tidySizes(known []sizeOf, now time.Time) []sizeOf {
	slices.SortStableFunc(known, func(a, b sizeOf) int { return b.At.Compare(a.At) })
	seen := make(map[string]bool)
	known = slices.DeleteFunc(known, func(k sizeOf) bool {
		if k.Service == "" || len(k.Service) > serviceLength || !isTried(k.Good) || !isTried(k.Bad) ||
			k.Bad > 0 && k.Good >= k.Bad || k.Good+k.Bad == 0 || now.Sub(k.At) > sizesFor || k.At.After(now.Add(time.Hour)) {
			return true
		}
		again := seen[k.Service]
		seen[k.Service] = true
		return again
	})
	return known[:min(len(known), sizesKept)]
}

// isTried reports whether a size is one that sessions try, or 0 for none.
func isTried(size int) bool {
	return size == 0 || size > DefaultMessageSize && size <= mostAutoSize && size&(size-1) == 0
}

// at returns what is known of a service: the largest size that got through and the least one that did not; 0 is not known.
func (s *Sizes) at(service string, now time.Time) (good, bad int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.known {
		if k.Service == service && now.Sub(k.At) <= sizesFor {
			return k.Good, k.Bad
		}
	}
	return 0, 0
}

// good notes that a size got through.
func (s *Sizes) good(service string, size int, now time.Time) {
	s.note(service, now, func(k *sizeOf) {
		k.Good = max(k.Good, size)
		if k.Bad <= k.Good {
			k.Bad = 0
		}
	})
}

// bad notes that a size did not get through.
func (s *Sizes) bad(service string, size int, now time.Time) {
	s.note(service, now, func(k *sizeOf) {
		k.Bad = size
		if k.Good >= size {
			k.Good = 0
		}
	})
}

// note changes the entry of a service. An entry that stays as it is gets a new date once a day.
func (s *Sizes) note(service string, now time.Time, change func(*sizeOf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := sizeOf{Service: service}
	if i := slices.IndexFunc(s.known, func(k sizeOf) bool { return k.Service == service }); i >= 0 {
		if now.Sub(s.known[i].At) <= sizesFor {
			k = s.known[i]
		}
	}
	before := k
	change(&k)
	if k == before && now.Sub(k.At) < sizesFor/7 {
		return
	}
	k.At = now
	s.known = tidySizes(append([]sizeOf{k}, s.known...), now)
	s.news = true
}

// save writes what the file does not have yet, together with what other processes have put there.
func (s *Sizes) save(log *slog.Logger) {
	if s == nil || s.path == "" {
		return
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	news := s.news
	s.news = false
	s.mu.Unlock()
	if !news {
		return
	}
	others, _ := readSizes(s.path) // what cannot be read is replaced
	s.mu.Lock()
	s.known = tidySizes(append(s.known, others...), time.Now())
	known := slices.Clone(s.known)
	s.mu.Unlock()
	err := writeSizes(s.path, known)
	if err != nil && !s.failed {
		s.failed = true
		log.Warn("the sizes of messages that were found out are not kept", "file", s.path, "error", err)
	}
}

// writeSizes replaces the file atomically, or not at all.
func writeSizes(path string, known []sizeOf) error {
	body, err := json.Marshal(known)
	if err != nil {
		return err //nolint:wrapcheck // it cannot be
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err //nolint:wrapcheck // it names the directory
	}
	file, err := os.CreateTemp(dir, ".message-sizes-*") // with mode 0600
	if err != nil {
		return err //nolint:wrapcheck // it names the directory
	}
	_, err = file.Write(append(body, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
