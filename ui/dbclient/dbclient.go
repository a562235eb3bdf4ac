// Package dbclient leads a database program of this machine to a database behind a tunnel: what its environment and arguments
// have to say so that it connects to this machine and yet meets the database by its true name, with its certificate verified.
package dbclient

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
)

// Access is a database, the way to it and who comes.
type Access struct {
	Host     aws.Host       // its kind, its name and port where it is
	Local    netip.AddrPort // where the tunnel listens
	Program  string         // that is to run; it tells the kind where nothing else does
	User     string         // empty: whom environment or program name
	Token    string         // that is the password; empty: what environment or program have
	Database string         // empty: likewise
	CA       string         // a file of the authorities to trust instead of the carried ones
	Also     []byte         // PEM, trusted beside the carried ones
	Plain    bool           // without TLS
	URL      bool           // DATABASE_URL too, with the token where there is one
	Else     []string       // variables, as NAME=value, of which the environment has none
	Welcome  string         // an SQL command that psql begins with, and shows
	Say      func(string)   // told once what is wrong with the database's certificate; may be nil
}

// Client is a way for programs. Its methods are for one goroutine.
type Client struct {
	access Access
	at     netip.AddrPort // where the program connects
	roots  string         // file of the authorities that the program trusts
	rc     string         // file that psql begins with
	dir    string
	relay  *relay
}

// Open prepares a way: files that only the user may read, and a relay on loopback for programs that cannot verify another name than the
// one they connect to. The caller closes it. It fails with *KindError, *PlainTokenError, *RegionError or *AuthorityError.
func Open(a Access) (*Client, error) {
	a.Host.Kind = KindFor(a.Host.Kind, a.Program)
	if err := Check(a); err != nil {
		return nil, err
	}
	if a.Say == nil {
		a.Say = func(string) {}
	}
	c := &Client{access: a, at: a.Local}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Check finds what would be in vain, before a tunnel is opened for it: the errors of Open.
func Check(a Access) error {
	switch {
	case len(Usual(KindFor(a.Host.Kind, a.Program))) == 0:
		return &KindError{Host: a.Host}
	case a.Plain && a.Token != "":
		return &PlainTokenError{}
	case a.Plain:
		return nil
	}
	_, err := a.trusted()
	return err
}

func (c *Client) open() (err error) {
	if c.dir, err = os.MkdirTemp("", "culvert-db-"); err != nil {
		return fmt.Errorf("make a directory for the program's files: %w", err)
	}
	if c.access.Welcome != "" {
		text := "\\echo " + c.access.Welcome + "\n" + c.access.Welcome + "\n"
		if c.rc, err = c.keep("psqlrc", text); err != nil {
			return err
		}
	}
	if c.access.Plain {
		return nil
	}
	authorities, err := c.access.trusted()
	if err != nil {
		return err
	}
	switch c.access.Host.Kind { //nolint:exhaustive // the others verify the name themselves
	case aws.KindMySQL, aws.KindRedis, aws.KindMongo:
		if c.relay, err = openRelay(c.access, authorities); err != nil {
			return err
		}
		c.at, authorities = c.relay.at(), c.relay.authority
	}
	c.roots, err = c.keep("authorities.pem", authorities)
	return err
}

// trusted are the authorities that may have signed the database's certificate: those of --ca alone, or the carried ones.
func (a Access) trusted() (string, error) {
	if a.CA != "" {
		return trusted(a.CA)
	}
	if err := signed(a.Host.Host); err != nil {
		return "", err
	}
	return authorities + string(a.Also), nil
}

// keep writes a file that is there until Close.
func (c *Client) keep(name, text string) (path string, err error) {
	path = filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write a file for the program: %w", err)
	}
	return path, nil
}

// Close ends the way and removes its files.
func (c *Client) Close() error {
	if c.relay != nil {
		c.relay.close()
	}
	if c.dir == "" {
		return nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the program's files: %w", err)
	}
	return nil
}

// At is where programs connect: where the tunnel listens, or the relay before it.
func (c *Client) At() netip.AddrPort { return c.at }

// Environment is a program's environment: the given one, with what leads to the database.
func (c *Client) Environment(given []string) []string {
	vary := variables{given: given}
	switch c.access.Host.Kind { //nolint:exhaustive // Open has refused the others
	case aws.KindPostgres, aws.KindRedshift:
		c.postgres(&vary)
	case aws.KindMySQL:
		c.mysql(&vary)
	case aws.KindRedis:
		c.redis(&vary)
	case aws.KindSQLServer:
		c.sqlServer(&vary)
	}
	if c.access.URL {
		vary.set("DATABASE_URL", c.url(c.access.Token))
	}
	for _, variable := range c.access.Else {
		name, value, _ := strings.Cut(variable, "=")
		if !vary.has(name) {
			vary.set(name, value)
		}
	}
	return vary.all()
}

// url is the database as an URL, which has what the client libraries of its kind take from one, with a password or, where arguments
// are to hold it, without.
func (c *Client) url(password string) string {
	a := c.access
	u := url.URL{Host: c.at.String(), Path: "/" + a.Database}
	switch {
	case password != "":
		u.User = url.UserPassword(a.User, password)
	case a.User != "":
		u.User = url.User(a.User)
	}
	query := url.Values{}
	switch a.Host.Kind { //nolint:exhaustive // Open has refused the others
	case aws.KindPostgres, aws.KindRedshift:
		u.Scheme, u.Host = "postgresql", net.JoinHostPort(a.Host.Host, strconv.Itoa(int(c.at.Port())))
		query.Set("hostaddr", c.at.Addr().String())
		query.Set("sslmode", sslMode(a.Plain))
		if c.roots != "" {
			query.Set("sslrootcert", c.roots)
		}
	case aws.KindMySQL:
		u.Scheme = "mysql"
		if c.roots != "" {
			query.Set("ssl_ca", c.roots)
		}
	case aws.KindRedis:
		u.Scheme = "redis"
	case aws.KindMongo:
		u.Scheme = "mongodb"
		query.Set("directConnection", "true") // else the client asks for the other members, by names that only the VPC has
		query.Set("retryWrites", "false")     // which DocumentDB does not have
	case aws.KindSQLServer:
		u.Scheme, u.Path = "sqlserver", ""
		if a.Database != "" {
			query.Set("database", a.Database)
		}
		if c.roots != "" {
			query.Set("encrypt", "true")
			query.Set("hostNameInCertificate", a.Host.Host)
			query.Set("certificate", c.roots)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// variables are an environment that is changed.
type variables struct {
	given   []string
	added   []string
	removed []string
}

func (v *variables) set(name, value string) {
	v.unset(name)
	v.added = append(v.added, name+"="+value)
}

// fill sets a variable that has a value.
func (v *variables) fill(name, value string) {
	if value != "" {
		v.set(name, value)
	}
}

func (v *variables) unset(name string) { v.removed = append(v.removed, name) }

// has reports whether a variable has a value.
func (v *variables) has(name string) bool {
	return slices.ContainsFunc(v.all(), func(variable string) bool { return strings.HasPrefix(variable, name+"=") })
}

func (v *variables) all() []string {
	gone := map[string]bool{}
	for _, name := range v.removed {
		gone[name] = true
	}
	var all []string
	for _, variable := range v.given {
		if name, _, _ := strings.Cut(variable, "="); !gone[name] {
			all = append(all, variable)
		}
	}
	return append(all, v.added...)
}

// KindError means that no database program is known for a destination.
type KindError struct{ Host aws.Host }

func (e *KindError) Error() string {
	if e.Host.Kind == aws.KindUnknown {
		return fmt.Sprintf("what answers at %s (%s) is not known", e.Host.Name, e.Host.Address())
	}
	return fmt.Sprintf("%s (%s) is %s, and culvert knows no program for that", e.Host.Name, e.Host.Address(), e.Host.Kind)
}

// Remedy opens the way alone; of a host of which nothing is known the program may tell what it is.
func (e *KindError) Remedy() string {
	alone := "open the way alone: culvert --headless --to " + say.Word(e.Host.Address())
	if e.Host.Kind == aws.KindUnknown {
		return "name its kind's own program behind --, as in -- psql; or " + alone
	}
	return alone
}

// PlainTokenError means that a token would be sent without TLS.
type PlainTokenError struct{}

func (e *PlainTokenError) Error() string {
	return "a token is as good as a password: it is not sent without TLS"
}

// Remedy says what to leave out.
func (e *PlainTokenError) Remedy() string { return "leave out --tls=no, or --iam" }
