package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/aws"
	"culvert/ui/control"
)

// How long names are remembered for the shell's completion: for namesLast the account is not asked again, and for up to namesKept
// the names are used if it does not answer.
const (
	namesLast = time.Minute
	namesKept = time.Hour
)

// The bounds of what is remembered.
const (
	mostNames     = 20_000  // names in one list
	mostNameLists = 64      // lists of one account
	mostNameBytes = 4 << 20 // bytes in the file of one account
	mostNameFiles = 16      // accounts, each of which has a file
)

// nameCache is the lists of names in one account, as one user sees it. They are in a file that only the user can read. A nil
// nameCache remembers nothing. find and put are safe for concurrent use.
type nameCache struct {
	path string

	mu    sync.Mutex
	lists map[string]nameList
	fresh bool // lists has something that the file does not have
}

type nameList struct {
	At    time.Time `json:"at"`
	Names []string  `json:"names"`
}

// nameFile reads what is remembered of an account. The name of its file is a hash of everything that determines which account it
// is and what of it the user can see. It is a hash as an access key is a part of that.
func nameFile(state string, of control.Account) *nameCache {
	var whose []string
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "AWS_") || strings.HasPrefix(variable, "HOME=") {
			whose = append(whose, variable)
		}
	}
	slices.Sort(whose)
	for _, path := range aws.ProfileFiles() {
		if info, err := os.Stat(path); err == nil {
			whose = append(whose, path, info.ModTime().String())
		}
	}
	text, err := json.Marshal([]any{of, whose})
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	n := &nameCache{path: filepath.Join(state, "names", hex.EncodeToString(sum[:])+".json"), lists: map[string]nameList{}}
	n.read()
	return n
}

// read reads the file, if it is a regular file and has lists in it.
func (n *nameCache) read() {
	if info, err := os.Lstat(n.path); err != nil || !info.Mode().IsRegular() {
		return // reading a pipe might not end
	}
	file, err := os.Open(n.path)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, mostNameBytes+1))
	if err != nil || len(body) > mostNameBytes || json.Unmarshal(body, &n.lists) != nil || n.lists == nil {
		n.lists = map[string]nameList{}
	}
}

// find returns the list under a key, unless it is older than age.
func (n *nameCache) find(key string, age time.Duration) ([]string, bool) {
	if n == nil {
		return nil, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list, ok := n.lists[key]
	since := time.Since(list.At)
	if !ok || since < 0 || since > age {
		return nil, false
	}
	return slices.Clone(list.Names), true
}

func (n *nameCache) put(key string, found []string) {
	if n == nil || len(found) > mostNames {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lists[key], n.fresh = nameList{At: time.Now().UTC(), Names: found}, true
}

// write replaces the file, if there is something new. Errors are ignored: names that are not remembered are asked for again.
func (n *nameCache) write() {
	if n == nil || !n.fresh {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(n.lists), func(a, b string) int { return n.lists[a].At.Compare(n.lists[b].At) })
	for _, key := range oldest[:max(len(oldest)-mostNameLists, 0)] {
		delete(n.lists, key)
	}
	body, err := json.Marshal(n.lists)
	dir := filepath.Dir(n.path)
	if err != nil || len(body) > mostNameBytes || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	file, err := os.CreateTemp(dir, ".names-*") // its mode is 0600
	if err != nil {
		return
	}
	_, err = file.Write(body)
	if file.Close() != nil || err != nil || os.Rename(file.Name(), n.path) != nil {
		_ = os.Remove(file.Name())
		return
	}
	prune(dir)
}

// prune removes all files but the mostNameFiles that were written last, and files that are older than namesKept. Among them are
// temporary files that killed processes have left.
func prune(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	written := map[string]time.Time{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			written[e.Name()] = info.ModTime()
		}
	}
	latest := slices.SortedFunc(maps.Keys(written), func(a, b string) int { return written[b].Compare(written[a]) })
	for i, name := range latest {
		if i >= mostNameFiles || time.Since(written[name]) > namesKept {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}
