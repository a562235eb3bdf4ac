package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/dbclient"
	"culvert/ui/headless"
)

// database are the flags of culvert db.
type database struct {
	iam, user, name, ca string
	tls                 string
	url                 bool
}

func (a *app) db() *cobra.Command {
	var aim aim
	d := database{tls: "yes"}
	cmd := &cobra.Command{
		Use:   "db NAME [-- PROGRAM ARGUMENT...]",
		Short: "Run a database program on a private database",
		Long: "Opens the way to a destination that list hosts shows and runs a database program of this machine on it; without one it is\n" +
			"the usual program of the database's kind: psql, mysql, redis-cli, mongosh, sqlcmd. The program is led to this machine and\n" +
			"yet meets the database by its true name, and its certificate is verified against that, by AWS's authorities or --ca.\n\n" +
			"The password is the one that the program finds as ever: PGPASSWORD, ~/.pgpass, MYSQL_PWD, REDISCLI_AUTH, a question. With\n" +
			"--iam it is a token that your AWS credentials sign, for RDS and Aurora. The exit code is the program's.",
		Example: "  culvert db orders-db --iam app --database orders\n" +
			"  culvert db orders-db -- psql -U app -c 'select 1' orders\n" +
			"  culvert db orders-db/reader --iam app -- pg_dump orders -f orders.sql\n" +
			"  culvert db orders-db --iam app --url -- ./migrate up",
		Args: func(cmd *cobra.Command, args []string) error {
			switch at := cmd.ArgsLenAtDash(); {
			case len(args) == 0 || at == 0:
				return usage("write culvert db NAME; "+a.shared.shell().Culvert("list", "hosts")+" shows the names", "no database is named")
			case at < 0 && len(args) > 1:
				return usage("write culvert db NAME -- PROGRAM ARGUMENTS", "%q does not stand behind --", args[1])
			case at > 1:
				return usage("write culvert db NAME -- PROGRAM ARGUMENTS", "%q is one name too many", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runDatabase(cmd.Context(), &aim, &d, args[0], args[1:])
		},
	}
	f := cmd.Flags()
	f.AddFlagSet(aim.flags())
	f.StringVar(&d.iam, "iam", "", "sign in as `USER` with a token of your AWS credentials; the user needs rds_iam, and you rds-db:connect")
	f.StringVar(&d.user, "user", "", "`NAME` of the database's user; default: what the environment or the program says")
	f.StringVar(&d.name, "database", "", "`NAME` of the database; default: as above")
	f.StringVar(&d.ca, "ca", "", "`FILE` of the authorities to trust (PEM), instead of AWS's")
	f.Var(choiceValue{&d.tls, []string{"yes", "no"}}, "tls", "whether the database has TLS; with no nothing is verified")
	f.BoolVar(&d.url, "url", false, "set DATABASE_URL too, with the token of --iam in it")
	cmd.Flag("container").Hidden = true
	a.completeTargets(cmd, &aim)
	return cmd
}

// runDatabase is culvert db.
func (a *app) runDatabase(ctx context.Context, aim *aim, d *database, name string, words []string) error {
	within, err := aim.names()
	if err != nil {
		return err
	}
	named, err := tunnel.ParseNamed(name)
	if err != nil {
		return err
	}
	if d.iam != "" && d.user != "" && d.iam != d.user {
		return usage("leave --user out", "--iam and --user name two users")
	}
	if named.Socket != "" {
		return usage("write the name alone, or PORT:NAME", "culvert db listens on no socket: programs cannot verify the database's name there")
	}
	a.warnOf([]tunnel.Forward{named})
	a.shared.goHome(within)
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	a.keepJournal(ctx, acc)
	found, err := awaited(ctx, a, func(ctx context.Context) (aws.Aim, error) { return a.aimAt(ctx, acc.client, within, named.To) })
	if err != nil {
		return a.late(ctx, err)
	}
	access, words, err := d.access(acc, found.Host, words)
	if err != nil {
		return err
	}
	spec := named.Spec(aws.Target{})
	spec.KeepAlive = a.shared.keepAlive
	forward := headless.Forward{Spec: spec, AnyPort: named.Local == netip.AddrPort{}}.Toward(found)
	options := a.headlessOptions(acc, []headless.Forward{forward})
	options.GitHub = a.github
	options.Command, err = (&behind{}).command(a, words)
	if err != nil {
		return err
	}
	quiet := &until{to: a.Stderr}
	options.Out, options.Color, options.People = quiet, colored(a.Stderr), isTerminal(a.Stderr)
	options.Board = &headless.Board{}
	shown := a.progress(func(after time.Duration) string { return opening(options.Board.Set(), after) })
	defer shown.stop()
	options.Out, options.Err = shown.beside(options.Out), shown.beside(options.Err)
	var client *dbclient.Client
	defer func() {
		if client != nil {
			_ = client.Close() // if that fails, files are left in the directory of temporary files
		}
	}()
	options.Command.Fit = func(ctx context.Context, listeners []headless.Listener) (_ headless.Fit, err error) {
		shown.stop() // the terminal is the program's now
		quiet.over.Store(options.People && !options.JSON)
		client, err = a.fitDatabase(ctx, acc, d, access, listeners[0])
		if err != nil {
			return headless.Fit{}, err
		}
		at := client.At()
		led := headless.Listener{Host: at.Addr().String(), Port: at.Port(), Addr: at.String()}
		return headless.Fit{Listeners: []headless.Listener{led}, Env: client.Environment, Arguments: client.Arguments}, nil
	}
	return headless.Run(ctx, options)
}

// access returns the user, the program and its arguments for a database. It checks them before anything is opened.
func (d *database) access(acc *account, host aws.Host, words []string) (dbclient.Access, []string, error) {
	a := dbclient.Access{Host: host, User: d.user, Database: d.name, CA: d.ca, Plain: d.tls == "no", URL: d.url}
	if len(words) == 0 {
		program, err := usualProgram(host)
		if err != nil {
			return a, nil, err
		}
		words = []string{program}
	}
	a.Program = words[0]
	a.Host.Kind = dbclient.KindFor(host.Kind, a.Program)
	if d.iam != "" {
		a.User = d.iam
		switch a.Host.Kind { //nolint:exhaustive // the others take no token of this kind
		case aws.KindPostgres, aws.KindMySQL:
		default:
			return a, nil, usage("leave --iam out; the program takes the password as ever", "--iam signs in to PostgreSQL, MySQL and MariaDB of RDS and Aurora: %s is %s", host.Name, orDash(string(host.Kind)))
		}
		if a.Plain {
			return a, nil, &dbclient.PlainTokenError{}
		}
	}
	if acc.demo != nil {
		a.Also, a.Else = acc.demo.emulator.CACertificate(), demoDatabase()
	}
	return a, words, dbclient.Check(a)
}

// demoDatabase are the variables with the login of the demo's database, which takes any user and password.
func demoDatabase() []string { return []string{"PGUSER=demo", "PGDATABASE=orders", "PGPASSWORD=demo"} }

// usualProgram is the first of the programs for a kind of database that is installed here.
func usualProgram(host aws.Host) (string, error) {
	programs := dbclient.Usual(host.Kind)
	if len(programs) == 0 {
		return "", &dbclient.KindError{Host: host}
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", &headless.CommandError{Name: programs[0], Code: exitNotFound, Err: exec.ErrNotFound}
}

// fitDatabase prepares the program for the local end of the tunnel. With --iam it gets a token only now, as tokens expire soon.
func (a *app) fitDatabase(ctx context.Context, acc *account, d *database, access dbclient.Access, at headless.Listener) (*dbclient.Client, error) {
	addr, err := netip.ParseAddr(at.Host)
	if err != nil {
		return nil, fmt.Errorf("lead the program to %s: %w", at.Addr, err)
	}
	access.Local = netip.AddrPortFrom(addr, at.Port)
	access.Say = func(text string) { a.noticef("%s", text) }
	if d.iam != "" {
		if access.Token, err = acc.client.DatabaseToken(ctx, access.Host.Host, access.Host.Port, d.iam); err != nil {
			return nil, err
		}
		a.github.Mask(access.Token)
	}
	return dbclient.Open(access)
}

// until is a writer that passes text on until over is set, and then drops it.
type until struct {
	to   io.Writer
	over atomic.Bool
}

// Write implements io.Writer.
func (u *until) Write(text []byte) (int, error) {
	if u.over.Load() {
		return len(text), nil
	}
	n, err := u.to.Write(text)
	if err != nil {
		return n, fmt.Errorf("print: %w", err)
	}
	return n, nil
}
