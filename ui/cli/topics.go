package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// topic is a subject that culvert help explains, and that is no command.
type topic struct {
	name, about string
	text        func(*app) string
}

func topics() []topic {
	fixed := func(text string) func(*app) string { return func(*app) string { return text } }
	return []topic{
		{"targets", "How a cluster, service, task and container are named", fixed(aboutTargets)},
		{"forwards", "The forms of -L, --to and -D, what is listened on and what is proved", fixed(aboutForwards)},
		{"databases", "What culvert db tells a database program, and who verifies what", fixed(aboutDatabases)},
		{"environment", "The variables that culvert reads, and those of a command behind --", (*app).aboutEnvironment},
		{"files", "Config files, and where culvert keeps things", (*app).aboutFiles},
		{"exit-codes", "What culvert's exit codes mean", fixed(aboutExitCodes)},
	}
}

func topicNamed(name string) *topic {
	for _, t := range topics() {
		if t.name == name {
			return &t
		}
	}
	return nil
}

func topicNames() []string {
	var names []string
	for _, t := range topics() {
		names = append(names, t.name)
	}
	return names
}

const aboutTargets = `A target is a service, of which any running task is taken, or one task.

  -c CLUSTER -s SERVICE          any ready task of a service
  -c CLUSTER -t TASK             one task, by its id or the beginning of it
  --container NAME               one container of it
  --target CLUSTER/SERVICE[/[TASK][/CONTAINER]]
                                 the same in one word
  ARNs                           stand for names everywhere; account, region and
                                 partition are part of the name

A tunnel to a service follows it from task to task. One to a task that was
named stays with that, and ends with it.

culvert list shows what there is; the shell completes names.
`

const aboutForwards = `  -L 3128                        port 3128 of the container, on the same number
                                 here, else on any free one
  -L 8080:3128                   port 3128, on port 8080 here and no other
  -L 127.0.0.1:8080:3128         the same, on that address alone
  -L 15432:db.internal:5432      another host, as the task reaches it
  -L 0:db.internal:5432          the same, on any free port
  -L /run/db.sock:5432           a unix socket, mode 0600
  --to orders-db                 a destination of list hosts by its name: its
                                 address, port and the way to it are found, so
                                 that no target is needed; -c, -s or -t narrow
                                 the choice. --to orders-db:5432 says the port,
                                 --to 15432:orders-db the local one, and 0 there
                                 is any free one; addresses and sockets as in -L
  -D 1080                        any host: a proxy here, HTTP and SOCKS in one
                                 and /proxy.pac, each host that is asked for by
                                 a session of its own; no proxy in the VPC
  -W db.internal:5432            standard input and output in place of a port,
                                 for ssh's ProxyCommand and the like

Without an address it is 127.0.0.1 and ::1; others want --bind as well.

With -D, --via says what goes through the task, such as '*.internal' or
10.0.0.0/8, and the rest goes directly from here; --deny refuses. At most
--destinations are open at a time: idle ones make room for others. --warm
HOST:PORT opens one at the start and keeps it.

"ready" is said when the far end has taken a connection and, where port or
first bytes tell the protocol, has answered in it. --probe asks for more (a
URL, a protocol by name) or less (tcp, none). Of -D a session is the proof, with
--probe URL that this was fetched through it.
`

const aboutDatabases = `culvert db NAME -- PROGRAM leads the program to this machine and has it meet the
database by its true name, verified by AWS's authorities or those of --ca:

  psql and all of libpq          PGHOST (the true name), PGHOSTADDR, PGPORT,
                                 PGSSLMODE=verify-full, PGSSLROOTCERT
  mysql, mariadb and their kin   MYSQL_HOST, MYSQL_TCP_PORT and arguments;
                                 culvert verifies the name
  redis-cli, valkey-cli          -h, -p; culvert makes TLS and verifies the name
  mongosh, mongodump             the address; likewise
  sqlcmd                         SQLCMDSERVER, SSL_CERT_FILE, -N -F NAME
  others                         the same variables, DATABASE_URL with --url,
                                 and {{.Host}} {{.Port}} in arguments

Passwords are those that the program finds as ever. --iam USER is a token of
your AWS credentials, for RDS and Aurora: good for 15 minutes of new
connections, made anew with each start, in the program's environment and
nowhere else.
`

const aboutExitCodes = `  0      done; without a command also when it was told to stop and all was well
  1      the doctor: a check has failed
  2      the command line or a config file makes no sense
  124    not ready within --wait
  125    culvert failed: the last lines on stderr are the error and its remedy
  126    the command behind -- cannot be run
  127    the command behind -- was not found
  128+n  ended by signal n: 130 ctrl+c, 143 TERM
  else   the code of the command behind --
`

// aboutEnvironment lists the environment variables. Those for flags are made from the flags.
func (a *app) aboutEnvironment() string {
	var b strings.Builder
	b.WriteString("Each of these flags can be set for all commands; a flag wins over its variable,\nand the variable over the config file.\n\n")
	a.shared.set.VisitAll(func(f *pflag.Flag) {
		_, _ = fmt.Fprintf(&b, "  %-28s --%s\n", variable(f.Name), f.Name)
	})
	b.WriteString("\n" + folded("AWS's own variables work as with the aws command: AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION, AWS_CONFIG_FILE, "+
		"AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE, AWS_CA_BUNDLE, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, the access keys; "+
		"so do HTTPS_PROXY and NO_PROXY. NO_COLOR leaves colours out.", 0))
	b.WriteString("\n" + folded("A command behind -- gets CULVERT_HOST, CULVERT_PORT and CULVERT_ADDR (with _1, _2, … when there are several forwards) and, "+
		"where the far end is an HTTP proxy or any host (-D), CULVERT_PROXY, PROXY_SERVER, HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Its arguments may use "+
		"{{.Host}}, {{.Port}}, {{.Addr}} and {{.ProxyURL}}.", 0))
	return b.String()
}

// aboutFiles says where culvert's files are on this machine.
func (a *app) aboutFiles() string {
	p := findPaths()
	return fmt.Sprintf(`  %s
      your config: any flag by its name, keys, tunnels, groups
  .culvert.yaml
      a project's: tunnels and groups alone, found from the working directory up
      to the repository's root
  %s
      state and logs
  %s
      what culvert up holds: sockets and process files

  tunnels:
    squid: {target: automation/squid, forward: "3128"}
    db:    {target: automation/squid, forward: "15432:orders-db.internal:5432"}
    any:   {target: automation/squid, dynamic: 1080, via: ["*.internal"]}
    shop:  {to: shop-db}
  groups:
    dev: [squid, db]

Then: culvert up dev. --config FILE is read instead of both config files.
culvert version --paths names the files in force.
`, p.Config, p.State, p.Runtime)
}
