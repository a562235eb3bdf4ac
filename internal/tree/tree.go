// Package tree writes files below a directory of the user's, in which somebody else may have left links: a cloned
// repository, say. It follows none of them.
package tree

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Tree is a directory to write files to. The names of files are relative to it, with slashes.
type Tree struct {
	root *os.Root
	dir  string
}

// LinkError is a link where a file is to be written, or on the way there.
type LinkError struct{ Path string }

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s is a link, and what it leads to is not written to", e.Path)
}

// Remedy names the ways out.
func (e *LinkError) Remedy() string {
	return "remove the link, or name the directory that is really meant; ls -l " + e.Path + " shows where it leads"
}

// Open makes a directory where there is none. It must not be a link, and below the working directory not lead over one: a
// *LinkError. What leads over links elsewhere is the machine's own affair (/tmp is a link on macOS).
func Open(dir string) (*Tree, error) {
	dir = filepath.Clean(dir)
	for _, p := range steps(dir) {
		switch info, err := os.Lstat(p); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, &LinkError{Path: p}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // sources and manuals, not secrets
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{root: root, dir: dir}, nil
}

// steps are the paths that must not be links: those on the way to dir from where the user stands, or dir alone.
func steps(dir string) []string {
	from := ""
	if filepath.IsAbs(dir) {
		work, err := os.Getwd()
		if err != nil {
			return []string{dir}
		}
		below, err := filepath.Rel(work, dir)
		if err != nil || !filepath.IsLocal(below) {
			return []string{dir}
		}
		from, dir = work, below
	}
	var all []string
	for i := range len(dir) + 1 {
		if i == len(dir) || os.IsPathSeparator(dir[i]) {
			all = append(all, filepath.Join(from, dir[:i]))
		}
	}
	return all
}

// Close forgets the directory.
func (t *Tree) Close() error { return t.root.Close() }

// Path is where a file is, for people.
func (t *Tree) Path(name string) string { return filepath.Join(t.dir, filepath.FromSlash(name)) }

// Holds reports whether a file is there with this content. The error is fs.ErrNotExist when there is none, and a
// *LinkError when there is a link, or one on the way.
func (t *Tree) Holds(name string, content []byte) (bool, error) {
	info, err := t.look(name)
	if err != nil {
		return false, err
	}
	if info.Size() != int64(len(content)) {
		return false, nil
	}
	have, err := t.root.ReadFile(name)
	return bytes.Equal(have, content), err
}

// Put writes a file in the place of an older one: it moves a new one there, so that no other name of the older one changes.
// The errors are those of Holds, but that there is none.
func (t *Tree) Put(name string, content []byte) error {
	if _, err := t.look(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	temporary := path.Join(path.Dir(name), ".culvert-"+rand.Text())
	file, err := t.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = t.root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", t.Path(name), err), t.root.Remove(temporary))
	}
	return nil
}

// look finds a regular file without following a link.
func (t *Tree) look(name string) (fs.FileInfo, error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		at := path.Join(parts[:i+1]...)
		info, err := t.root.Lstat(at)
		switch last := i == len(parts)-1; {
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, &LinkError{Path: t.Path(at)}
		case last && info.Mode().IsRegular():
			return info, nil
		case last:
			return nil, fmt.Errorf("write %s: something that is no file is there", t.Path(at))
		case !info.IsDir():
			return nil, fmt.Errorf("write %s: something that is no directory is there", t.Path(at))
		}
	}
	return nil, fs.ErrNotExist
}
