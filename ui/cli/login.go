package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"culvert/internal/say"
	"culvert/tunnel/doctor"
)

// passwordVariable is the environment variable with the password of --proxy-user. There is no flag for it, as everybody on the
// machine can see the flags of a process.
const passwordVariable = "CULVERT_PROXY_PASSWORD" //nolint:gosec // the name of a variable, not a password

// passwordLimit is how many bytes are read from a file with a password.
const passwordLimit = 4096

// login is the user and password for proxies at the far ends; nil when the flags name no user.
func (s *shared) login() (*doctor.Login, error) {
	if s.proxyUser == "" {
		if s.set.Lookup("proxy-password-file").Changed {
			return nil, usage("add --proxy-user USER", "--proxy-password-file is of no use without a user")
		}
		return nil, nil //nolint:nilnil // nobody
	}
	return s.loginAs(s.proxyUser, "--proxy-user")
}

// loginOf is the user and password for the proxy at the far end of a saved tunnel; nil for none. The project decides where a
// tunnel of a project file leads, so that the password goes there only when the user is named for this run.
func (s *shared) loginOf(t *savedTunnel) (*doctor.Login, error) {
	switch user, own := s.userOf(t); {
	case own:
		return s.loginAs(user, "tunnel "+t.name+" of "+t.file+": proxy-user")
	case user == "" && t.project:
		return nil, nil //nolint:nilnil // nobody
	}
	return s.login()
}

// userOf is the user for the proxy at the far end of a saved tunnel; empty for none. A flag of the command line has precedence
// over the tunnel's entry. own is true when the user is from the entry.
func (s *shared) userOf(t *savedTunnel) (user string, own bool) {
	switch {
	case t.project && !s.userOfRun():
		return "", false
	case t.proxyUser == "" || s.set.Lookup("proxy-user").Changed:
		return s.proxyUser, false
	}
	return t.proxyUser, true
}

// userOfRun reports whether the user is named for this run, not in a config file.
func (s *shared) userOfRun() bool {
	return s.set.Lookup("proxy-user").Changed || os.Getenv(variable("proxy-user")) != ""
}

// userOnScreen is the user for tunnels that the interface opens and that are not saved; empty for none. With a project file it is
// only a user who is named for this run, as the tunnel may be one of the project that is opened again.
func (s *shared) userOnScreen() string {
	if !s.userOfRun() && slices.ContainsFunc(s.saved.tunnels, func(t savedTunnel) bool { return t.project }) {
		return ""
	}
	return s.proxyUser
}

// checkLogin returns what is wrong with the login for tunnels of the interface. It is called before there is a screen.
func (s *shared) checkLogin() error {
	named := slices.ContainsFunc(s.saved.tunnels, func(t savedTunnel) bool { return t.proxyUser != "" })
	if s.userOnScreen() != s.proxyUser || s.proxyUser == "" && named {
		return nil
	}
	_, err := s.login()
	return err
}

// loginOnScreen is the login for a user whom the interface names; nil for an empty user.
func (s *shared) loginOnScreen(user string) (*doctor.Login, error) {
	if user == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	return s.loginAs(user, "proxy-user "+say.Line(user))
}

// loginAs is the login for a user. source says in errors where the user was named.
func (s *shared) loginAs(user, source string) (*doctor.Login, error) {
	if name, _, both := strings.Cut(user, ":"); both {
		return nil, &settingError{source: source, advice: "give " + say.Line(name) + " alone, and the password in " + passwordVariable + " or in the file of --proxy-password-file", err: errors.New("a password does not stand beside the user: others can see it")}
	}
	password, err := s.proxyPassword()
	if err != nil {
		return nil, err
	}
	if password == "" {
		return nil, &settingError{source: source, advice: "set " + passwordVariable + ", or pass --proxy-password-file FILE", err: fmt.Errorf("there is no password for the user %s", say.Line(user))}
	}
	login, err := doctor.NewLogin(user, password)
	if err != nil {
		return nil, &settingError{source: source, advice: say.Remedy(err), err: err}
	}
	return login, nil
}

// proxyPassword is the password in the file of --proxy-password-file, else the one in the environment; empty for none.
func (s *shared) proxyPassword() (string, error) {
	path := s.proxyPasswordFile
	if path == "" {
		return os.Getenv(passwordVariable), nil
	}
	refuse := func(err error, advice string) (string, error) {
		return "", &settingError{source: "--proxy-password-file", advice: advice, err: err}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return refuse(err, "name a file that has the password on its first line")
	case !info.Mode().IsRegular():
		return refuse(fmt.Errorf("%s is no file", say.Line(path)), "name a file that has the password on its first line")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return refuse(fmt.Errorf("others may read %s (mode %04o)", say.Line(path), info.Mode().Perm()), "run chmod 600 "+say.Word(path))
	}
	file, err := os.Open(path) //nolint:gosec // the user's own choice of file
	if err != nil {
		return refuse(err, "make it readable for you")
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, passwordLimit))
	if err != nil {
		return refuse(err, "make it readable for you")
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return refuse(fmt.Errorf("the first line of %s is empty", say.Line(path)), "write the password there")
	}
	return line, nil
}
