package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// aim are the flags that name a target.
type aim struct {
	cluster, service, family, task, container string
	target                                    targetValue
}

func (a *aim) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("target", pflag.ContinueOnError)
	f.StringVarP(&a.cluster, "cluster", "c", "", "`NAME` of the cluster")
	f.StringVarP(&a.service, "service", "s", "", "`NAME` of the service: any running task of it")
	f.StringVar(&a.family, "family", "", "`NAME` of a task definition's family: the newest of its tasks that no service started")
	f.StringVarP(&a.task, "task", "t", "", "`ID` of one task")
	f.StringVar(&a.container, "container", "", "`NAME` of the container; default: one that maps the remote port, else any that shares its network")
	f.Var(&a.target, "target", "the target in one word; CLUSTER//FAMILY is the newest task that no service started")
	under(flagsTarget, f)
	return f
}

// given reports whether any of the flags is given.
func (a *aim) given() bool {
	return a.cluster+a.service+a.family+a.task+a.container != "" || a.target.Target != (aws.Target{})
}

// names returns what the flags name, with the parts of ARNs.
func (a *aim) names() (aws.Query, error) {
	q := aws.Query{Cluster: a.cluster, Service: a.service, Family: a.family, Task: a.task, Container: a.container}
	if a.family != "" && a.service+a.task != "" {
		return aws.Query{}, usage("leave one out: a family's tasks are those that no service started, and --task names one by itself", "--family goes with neither --service nor --task")
	}
	if t := a.target.Target; t != (aws.Target{}) {
		if a.service+a.family+a.task != "" || (a.cluster != "" && t.Cluster != "") || (a.container != "" && t.Container != "") {
			return aws.Query{}, usage("say it once: leave out --cluster, --service, --family, --task and --container", "--target names the target already")
		}
		q = t.Query()
		q.Cluster, q.Container = cmp.Or(q.Cluster, a.cluster), cmp.Or(q.Container, a.container)
	}
	return q.Parse()
}

// query is the query for the target of the flags, without a port. It returns a usage error unless they name a target.
func (a *aim) query(shell aws.Shell) (aws.Query, error) {
	q, err := a.names()
	if err != nil {
		return aws.Query{}, err
	}
	advice := "name one with --cluster and --service (or --family), or --target CLUSTER/SERVICE; " + shell.Culvert("list") + " shows what there is"
	switch {
	case q.Cluster == "" && q.Service == "" && q.Task == "" && q.Family == "":
		return aws.Query{}, usage(advice, "no target")
	case q.Cluster == "" && q.Home == (aws.Home{}): // ARNs from before 2018 have no cluster; it is searched for
		return aws.Query{}, usage(advice, "no cluster for the target")
	case q.Service == "" && q.Task == "" && q.Family == "":
		return aws.Query{}, usage(advice, "no service or task in cluster %q", q.Cluster)
	}
	return q, nil
}

// forwards are the flags that say what to forward.
type forwards struct {
	forms      []written // the forms, in their order on the command line
	shared     *shared
	remotePort uint16
	remoteHost string
	localPort  uint16
	bind       addrValue
	linkLocal  *bool // points into shared, as the engine gets it as well
}

// formKind is the flag to which a form was given.
type formKind int

const (
	formForward formKind = iota // -L
	formDynamic                 // -D
	formNamed                   // --to
)

// written is a form that was given to a flag.
type written struct {
	form string
	kind formKind
}

// formsValue is the value of such a flag: it adds each form to forms.
type formsValue struct {
	forms *[]written
	kind  formKind
}

func (v formsValue) Type() string   { return "FORM" }
func (v formsValue) String() string { return "" }

func (v formsValue) Set(s string) error {
	*v.forms = append(*v.forms, written{s, v.kind})
	return nil
}

// parse reads a form.
func (w written) parse() (p tunnel.Forward, err error) {
	var flag string
	switch w.kind {
	case formForward:
		flag = "--forward"
		p, err = tunnel.ParseForward(w.form)
	case formDynamic:
		flag = "--dynamic"
		p, err = tunnel.ParseDynamic(w.form)
	case formNamed:
		flag = "--to"
		p, err = tunnel.ParseNamed(w.form)
	}
	if err != nil {
		err = &settingError{source: flag, advice: say.Remedy(err), err: err}
	}
	return p, err
}

func (f *forwards) flags(s *shared) *pflag.FlagSet {
	f.shared, f.linkLocal = s, &s.linkLocal
	set := pflag.NewFlagSet("forward", pflag.ContinueOnError)
	set.VarP(formsValue{forms: &f.forms}, "forward", "L", "`FORM` of a forward, repeatable: 3128, 8080:3128, 127.0.0.1:8080:3128, 15432:db.internal:5432, /run/x.sock:5432")
	set.VarP(formsValue{&f.forms, formDynamic}, "dynamic", "D", "`PORT` of a proxy (HTTP and SOCKS) on this machine that reaches any host through the task, repeatable: 1080, 127.0.0.1:1080, /run/x.sock; 0 is any free port")
	set.Var(formsValue{&f.forms, formNamed}, "to", "`NAME` of a private destination that list hosts shows, repeatable, instead of -L: address and way are found; orders-db, orders-db:5432, 15432:orders-db, 127.0.0.1:15432:orders-db, /run/x.sock:orders-db")
	set.Var(portValue{&f.remotePort, 1}, "remote-port", "port to forward to, instead of -L")
	set.StringVar(&f.remoteHost, "remote-host", "", "`HOST` that the task reaches, for --remote-port")
	set.Var(portValue{&f.localPort, 0}, "local-port", "port to listen on, for --remote-port; 0 is any (default the remote port's number if free)")
	set.Var(&f.bind, "bind", "address to listen on where a form names none (default 127.0.0.1 and ::1)")
	set.BoolVar(f.linkLocal, "allow-link-local", false, "let remote hosts be link-local addresses: the task's metadata and its role's credentials")
	under(flagsForward, set)
	return set
}

// given reports whether the flags name any forward.
func (f *forwards) given() bool { return len(f.forms) > 0 || f.remotePort != 0 }

// any reports whether the flags say anything about a forward, even if that is too little for one.
func (f *forwards) any() bool {
	return f.given() || f.remoteHost != "" || f.localPort != 0 || f.bind.IsValid()
}

// parse returns the forwards of all flags. A forward that listens on another address than loopback needs --bind.
func (f *forwards) parse() ([]tunnel.Forward, error) {
	var parsed []tunnel.Forward
	for _, w := range f.forms {
		p, err := w.parse()
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, p)
	}
	full, err := f.inFull()
	if err != nil {
		return nil, err
	}
	parsed = append(parsed, full...)
	if err := f.shared.settle(parsed); err != nil {
		return nil, err
	}
	if len(parsed) == 0 {
		return nil, usage("pass -L PORT, for instance -L 3128 for a Squid in the task, -D 1080 for any host behind it, or --to NAME for a private destination by its name", "nothing to forward")
	}
	for i := range parsed {
		if err := errors.Join(f.reach(parsed[i].Remote), f.listen(&parsed[i])); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// inFull is the forward of --remote-port, --remote-host and --local-port; none without --remote-port.
func (f *forwards) inFull() ([]tunnel.Forward, error) {
	if f.remotePort == 0 {
		if f.remoteHost != "" || f.localPort != 0 {
			return nil, usage("add --remote-port PORT, or use -L alone", "--remote-host and --local-port belong to --remote-port")
		}
		return nil, nil
	}
	form := fmt.Sprintf("%d:%d", f.localPort, f.remotePort)
	if host := f.remoteHost; host != "" {
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			host = "[" + host + "]"
		}
		form = fmt.Sprintf("%d:%s:%d", f.localPort, host, f.remotePort)
	}
	p, err := tunnel.ParseForward(form)
	if err != nil {
		return nil, &settingError{source: "--remote-host", advice: "give the name or IP address of a host that the task reaches", err: err}
	}
	return []tunnel.Forward{p}, nil
}

// reach refuses a link-local host with a *tunnel.LinkLocalError, unless --allow-link-local is given. No config file can allow it.
func (f *forwards) reach(e tunnel.Endpoint) error {
	if e.LinkLocal() && !*f.linkLocal {
		return &tunnel.LinkLocalError{Host: e.Host}
	}
	return nil
}

// listen gives a forward the address of --bind if it names none. It refuses an address other than loopback that --bind does not
// name.
func (f *forwards) listen(p *tunnel.Forward) error {
	if p.Socket != "" {
		return nil
	}
	addr := p.Local.Addr()
	if !addr.IsValid() && f.bind.IsValid() {
		p.Local = netip.AddrPortFrom(f.bind.Addr, p.Local.Port())
		return nil
	}
	if addr.IsValid() && !addr.IsLoopback() && addr != f.bind.Addr {
		return usage("pass --bind "+addr.String()+" as well, if everybody who reaches this machine may use the tunnel",
			"forward %q listens on an address other than loopback", p.String())
	}
	return nil
}

// exposed returns the addresses other than loopback that the forwards listen on.
func exposed(parsed []tunnel.Forward) []netip.Addr {
	var addrs []netip.Addr
	for _, p := range parsed {
		if a := p.Local.Addr(); a.IsValid() && !a.IsLoopback() {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
