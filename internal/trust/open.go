package trust

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// UnsafeError is a file that was not opened for writing: others may write to the directory that it is to be in, and so decide what it
// is.
type UnsafeError struct{ Path, Problem string }

func (e *UnsafeError) Error() string { return fmt.Sprintf("%s %s", e.Path, e.Problem) }

// Remedy names the way out.
func (e *UnsafeError) Remedy() string { return "name a file in a directory that is yours alone" }

// Append opens a file to add to it; a new one only its owner can read. In a directory that others may write it follows no
// link, and takes no file but one of the user's own with this one name. The error is a *UnsafeError then.
func Append(path string) (*os.File, error) { return open(path, os.O_APPEND) }

// Create opens a file to write it anew, as Append opens it.
func Create(path string) (*os.File, error) {
	file, err := open(path, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() { // others cannot be cut
		if err := file.Truncate(0); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

func open(path string, flag int) (*os.File, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	leads, shared, err := follow(whole, 0)
	if err != nil {
		return nil, err
	}
	flag |= os.O_WRONLY | os.O_CREATE
	if !shared {
		return os.OpenFile(path, flag, 0o600) //nolint:gosec // the user's own choice of file
	}
	file, err := os.OpenFile(leads, flag|noFollow, 0o600) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !ownAlone(info) {
		err = &UnsafeError{Path: path, Problem: "is in a directory that others may write, and is not a file that you alone have"}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// maxLinks is how many links a path may have before it is a circle.
const maxLinks = 40

// follow finds where a path leads and whether others may write the directory there. A link that others could have made is an
// error.
func follow(path string, links int) (leads string, shared bool, err error) {
	for end := len(filepath.VolumeName(path)) + 1; end <= len(path); end++ {
		if end < len(path) && !os.IsPathSeparator(path[end]) {
			continue
		}
		part := path[:end]
		if dir, err := os.Stat(filepath.Dir(part)); err == nil {
			shared = writable(dir)
		}
		info, err := os.Lstat(part)
		switch {
		case err != nil: // opening the file will say it
			return path, shared, nil //nolint:nilerr // as above
		case info.Mode()&os.ModeSymlink == 0:
			continue
		case shared:
			return path, shared, &UnsafeError{Path: part, Problem: "is a link in a directory that others may write"}
		case links == maxLinks:
			return path, shared, nil
		}
		target, err := os.Readlink(part)
		if err != nil {
			return path, shared, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(part), target)
		}
		return follow(filepath.Join(target, strings.TrimPrefix(path[end:], string(filepath.Separator))), links+1)
	}
	return path, shared, nil
}
