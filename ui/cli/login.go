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

// passwordVariable has the password of --proxy-user. There is no flag for it: everybody on the machine sees those.
const passwordVariable = "CULVERT_PROXY_PASSWORD" //nolint:gosec // the name of one

// passwordLimit bounds what is read of a file that has one.
const passwordLimit = 4096

// login is the user of proxies at the far ends with the password; nil when no user is named.
func (s *shared) login() (*doctor.Login, error) {
	if s.proxyUser == "" {
		if s.set.Lookup("proxy-password-file").Changed {
			return nil, usage("add --proxy-user USER", "--proxy-password-file is of no use without a user")
		}
		return nil, nil //nolint:nilnil // nobody
	}
	return s.loginAs(s.proxyUser, "--proxy-user")
}

// loginOf is the user of the proxy at the far end of a saved tunnel: a flag of the command line stands above what it says.
// Where a project's tunnel leads the project decides: the password goes there only when the user is named for this run.
func (s *shared) loginOf(t *savedTunnel) (*doctor.Login, error) {
	switch user, own := s.userOf(t); {
	case own:
		return s.loginAs(user, "tunnel "+t.name+" of "+t.file+": proxy-user")
	case user == "" && t.project:
		return nil, nil //nolint:nilnil // nobody
	}
	return s.login()
}

// userOf is the user of the proxy at the far end of a saved tunnel; empty is nobody. own says that the tunnel names it itself.
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

// userOnScreen is the user of the tunnels that the interface opens and no saved one names: some may be a project's, opened
// again. Empty is nobody.
func (s *shared) userOnScreen() string {
	if !s.userOfRun() && slices.ContainsFunc(s.saved.tunnels, func(t savedTunnel) bool { return t.project }) {
		return ""
	}
	return s.proxyUser
}

// checkLogin says what is wrong with the user of the interface before there is a screen in the way.
func (s *shared) checkLogin() error {
	named := slices.ContainsFunc(s.saved.tunnels, func(t savedTunnel) bool { return t.proxyUser != "" })
	if s.userOnScreen() != s.proxyUser || s.proxyUser == "" && named {
		return nil
	}
	_, err := s.login()
	return err
}

// loginOnScreen is a user whom the interface names, with the password; nil for nobody.
func (s *shared) loginOnScreen(user string) (*doctor.Login, error) {
	if user == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	return s.loginAs(user, "proxy-user "+say.Line(user))
}

// loginAs is a user, whom a source names, with the password.
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

// proxyPassword is that of the file that is named, else that of the environment; empty when there is none.
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
