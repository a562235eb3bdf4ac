package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// mostSocketPath is how many bytes the path of a unix socket may have: the size of the system's field for it less a final zero
// byte, so 107 on Linux and Windows, and 103 on macOS.
const mostSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// SocketPathError means that a path is too long for a unix socket.
type SocketPathError struct{ Path string }

func (e *SocketPathError) Error() string {
	return fmt.Sprintf("listen on %s: the path of a socket may have %d bytes, this one has %d", e.Path, mostSocketPath, len(e.Path))
}

// Remedy says how a path gets shorter.
func (e *SocketPathError) Remedy() string {
	return "name a shorter path: relative to the working directory it is as long as it is written, ./db.sock for instance"
}

// SocketError means that a unix socket cannot be made for a reason other than the length of its path.
type SocketError struct {
	Path string
	Err  error
}

func (e *SocketError) Error() string { return fmt.Sprintf("listen on %s: %s", e.Path, e.Err) }
func (e *SocketError) Unwrap() error { return e.Err }

// Remedy says what kind of directory a socket needs.
func (e *SocketError) Remedy() string {
	return "name a path in a directory that exists, is yours to write, and can hold sockets: " + filepath.Dir(e.Path) + " is none"
}

// listenUnix makes the socket in a directory that only this user can enter, gives it mode 0600 and then moves it to its path, so
// that nobody else can ever connect.
func listenUnix(path string) (*listener, error) {
	if len(path) > mostSocketPath {
		return nil, &SocketPathError{Path: path}
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".culvert-")
	if err != nil {
		return nil, &SocketError{Path: path, Err: err}
	}
	defer func() { _ = os.RemoveAll(private) }()
	inside := filepath.Join(private, "s")
	socket, err := bindUnix(inside)
	if err != nil {
		return nil, &SocketError{Path: path, Err: err}
	}
	socket.SetUnlinkOnClose(false)
	if err = os.Chmod(inside, 0o600); err == nil {
		err = os.Rename(inside, path)
	}
	if err != nil {
		return nil, errors.Join(&SocketError{Path: path, Err: err}, socket.Close())
	}
	return &listener{sockets: []net.Listener{socket}, path: path}, nil
}

// bindUnix makes a socket. Where the path is longer than a socket's may be, it binds the socket through a shorter path, by a
// symbolic link to the directory. So only the path to which listenUnix moves the socket has to be short enough, as clients have
// to name it.
func bindUnix(path string) (*net.UnixListener, error) {
	if len(path) <= mostSocketPath {
		return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	short, err := ShortDir(len("/l/" + "s"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(short) }()
	link := filepath.Join(short, "l")
	if err := os.Symlink(dir, link); err != nil {
		return nil, err
	}
	return net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(link, filepath.Base(path)), Net: "unix"})
}

// ShortDir makes a directory that only this user can enter, and whose path leaves room bytes for a socket in it. The caller
// removes it. The error is a *TempError.
func ShortDir(room int) (string, error) {
	tries := []string{os.TempDir(), os.Getenv("XDG_RUNTIME_DIR"), "/tmp"}
	if home, err := os.UserHomeDir(); err == nil {
		tries = append(tries, home)
	}
	var all []error
	for _, base := range tries {
		if base == "" {
			continue
		}
		dir, err := os.MkdirTemp(base, ".culvert-")
		switch {
		case err != nil:
			all = append(all, err)
		case len(dir)+room > mostSocketPath:
			all = append(all, &SocketPathError{Path: dir}, os.Remove(dir)) //nolint:gosec // it was made above
		default:
			return dir, nil
		}
	}
	return "", &TempError{Dir: os.TempDir(), Err: errors.Join(all...)}
}

// TempError means that no directory can hold a socket that is needed for a moment.
type TempError struct {
	Dir string // the system's directory for temporary files
	Err error
}

func (e *TempError) Error() string {
	return fmt.Sprintf("make a place for a socket: neither %s nor another directory can hold one: %s", e.Dir, e.Err)
}
func (e *TempError) Unwrap() error { return e.Err }

// Remedy names the variable that sets the directory.
func (e *TempError) Remedy() string {
	return "set TMPDIR to a directory that exists, is yours to write, and has a short path"
}

// removeStale removes a socket file on which nobody listens any more. It is an error when somebody does, or the file is no
// socket.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &SocketError{Path: path, Err: err}
	case info.Mode()&fs.ModeSocket == 0:
		return &SocketError{Path: path, Err: errors.New("a file that is no socket is in the way")}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(&PortTakenError{Address: path}, conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the stale socket %s: %w", path, err)
	}
	return nil
}
