package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"culvert/internal/trust"
)

// A project file comes with a directory, such as a clone, an archive or a shared folder, so that it may not be the user who has
// written it. Therefore it can only say which tunnels exist. It sets no flag, so that it cannot send a call elsewhere, or name a
// file to write to, or choose whose credentials are used before the user asks for one of its tunnels by name.

// projectName is the name of project files.
const projectName = ".culvert.yaml"

// projectKeys are the keys of a project file.
func projectKeys() []string { return []string{"tunnels", "groups"} }

// readProject reads the project file for dir. Its found is false when there is none.
func readProject(dir string) (configFile, error) {
	file, err := openProject(dir)
	if file == nil {
		return configFile{}, err
	}
	defer file.Close() //nolint:errcheck // only read
	body, err := contents(file, file.Name())
	if err != nil {
		return configFile{path: file.Name()}, err
	}
	return checker{file: file.Name(), project: true}.parse(body, projectKeys())
}

// openProject looks for a project file in dir and the directories above it, up to the root of the repository or the home
// directory, as long as they have the same owner. It refuses a file that somebody else could have put there with a *ConfigError.
// The file is nil when there is none.
func openProject(dir string) (*os.File, error) {
	dir, err := filepath.EvalSymlinks(dir) // the directories above a link are not those above its target
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // a directory that no longer exists has no file
	}
	var home fs.FileInfo
	if path, err := os.UserHomeDir(); err == nil {
		home, _ = os.Stat(path)
	}
	var below fs.FileInfo
	for {
		here, err := os.Stat(dir)
		if err != nil || below != nil && !trust.SameOwner(here, below) {
			return nil, nil //nolint:nilnil,nilerr // there is no file to this point
		}
		if _, err := os.Lstat(filepath.Join(dir, projectName)); !errors.Is(err, fs.ErrNotExist) {
			return openProjectIn(dir)
		}
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || home != nil && os.SameFile(here, home) || filepath.Dir(dir) == dir {
			return nil, nil //nolint:nilnil // there is no file to this point
		}
		dir, below = filepath.Dir(dir), here
	}
}

// openProjectIn opens the project file of a directory. It checks the open file, which nobody can exchange after the check.
func openProjectIn(dir string) (*os.File, error) {
	path := filepath.Join(dir, projectName)
	refuse := func(format string, args ...any) error {
		return &ConfigError{
			File: path, Problem: "not read, as " + fmt.Sprintf(format, args...),
			Advice: "put that right, or pass --config " + quoted(path) + " (or set CULVERT_CONFIG) to say yes to this file as a whole",
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer root.Close() //nolint:errcheck // it is only read
	if info, err := root.Stat("."); err != nil {
		return nil, unreadable(path, err)
	} else if problem := trust.Problem(info); problem != "" {
		return nil, refuse("the directory %s", problem)
	}
	named, err := root.Lstat(projectName)
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case !named.Mode().IsRegular():
		return nil, refuse("it is a link or no file at all")
	}
	file, err := root.Open(projectName)
	if err != nil {
		return nil, unreadable(path, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = unreadable(path, err)
	case !os.SameFile(info, named):
		err = refuse("it changes while one looks")
	default:
		if problem := trust.Problem(info); problem != "" {
			err = refuse("it %s", problem)
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// noticeOrigin tells that a saved tunnel is from a project file, or that a tunnel with the same name in another file is not used.
// It tells each of these once.
func (a *app) noticeOrigin(t savedTunnel) {
	notice := func(text string) {
		if !slices.Contains(a.noticed, text) {
			a.noticed = append(a.noticed, text)
			a.noticef("%s", text)
		}
	}
	if t.project {
		notice("using the project file " + t.file)
	}
	for _, other := range a.shared.saved.hidden {
		if other.name == t.name {
			notice("the tunnel " + t.name + " of " + other.file + " is not used: the name is taken by " + t.file)
		}
	}
}

// SocketPathError says that a project file names a socket outside of its own directory and the user's runtime directory.
type SocketPathError struct{ Socket, File string }

func (e *SocketPathError) Error() string {
	return fmt.Sprintf("the socket %q is neither in the directory of the project file nor in your runtime directory", e.Socket)
}

// Remedy names both directories.
func (e *SocketPathError) Remedy() string {
	return "put it below " + filepath.Dir(e.File) + " or " + runtimeBase() + ", or move the tunnel into your own file, " + findPaths().Config
}

// checkProjectSocket refuses a socket that is outside of the project file's directory and the user's runtime directory, also if a
// symbolic link leads outside. An empty socket is none.
func checkProjectSocket(file, socket string) error {
	if socket == "" {
		return nil
	}
	refused := &SocketPathError{Socket: socket, File: file}
	path, err := filepath.Abs(socket)
	if err != nil || slices.Contains(strings.Split(filepath.ToSlash(socket), "/"), "..") { // ".." after a link leads to another directory than it seems
		return refused
	}
	place, ok := physical(filepath.Dir(path))
	if !ok {
		return refused
	}
	for _, base := range []string{filepath.Dir(file), runtimeBase()} {
		base, ok := physical(base)
		if !ok {
			continue
		}
		if inside, err := filepath.Rel(base, place); err == nil && filepath.IsLocal(inside) {
			return nil
		}
	}
	return refused
}

// physical is a path with its symbolic links resolved, as far as the path exists; false when they cannot be resolved.
func physical(path string) (string, bool) {
	rest := ""
	for {
		there, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(there, rest), true
		}
		if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return "", false // a link that leads nowhere, or a directory that the user may not read
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// runtimeBase is the user's runtime directory: culvert's own is below it.
func runtimeBase() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	return findPaths().Runtime
}
