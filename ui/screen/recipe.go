package screen

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// recipe says how a tunnel is opened without the screen. Fields that are empty are left out.
type recipe struct {
	demo            bool
	profile, region string // --profile and --region; empty: what the environment says
	endpoint, role  string // --endpoint-url and --role-arn
	document        string
	stream          string // --stream-endpoint
	target          aws.Target
	forward         tunnel.Forward
	probe           string
	user            string // the user for the proxy at the far end
	keepAlive       time.Duration
	exact           bool   // the local port has to be that of forward
	action          string // the action that the workflow step uses; empty when it is not known

	order  *aws.Order       // what is started for the tunnel; nil for nothing
	also   []tunnel.Forward // further forwards in the same workflow step
	inputs [][2]string      // names and values of further inputs of the workflow step
}

// command is the recipe as a command for a shell.
func (r recipe) command() string {
	words := []string{"culvert", "--headless"}
	for _, w := range r.flags() {
		words = append(words, say.Word(w))
	}
	return strings.Join(words, " ")
}

// flags returns the recipe as the flags of a command line.
func (r recipe) flags() (words []string) {
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	if r.demo {
		words = append(words, "--demo")
	}
	add("--profile", r.profile)
	add("--region", r.region)
	add("--endpoint-url", r.endpoint)
	add("--stream-endpoint", r.stream)
	add("--role-arn", r.role)
	add("--document", r.document)
	if r.inOneWord() {
		add("--target", r.target.String())
	} else {
		add("-c", r.target.Cluster)
		add("-s", r.target.Service)
		add("-t", r.target.Task)
		add("--container", r.target.Container)
	}
	if of := r.forward.Dynamic; of != nil {
		add("-D", r.forward.String())
		for _, form := range forms(of.Via) {
			add("--via", form)
		}
		for _, form := range forms(of.Deny) {
			add("--deny", form)
		}
		if of.Destinations > 0 {
			add("--destinations", strconv.Itoa(of.Destinations))
		}
		for _, e := range hostPorts(of.Warm) {
			add("--warm", e)
		}
	} else {
		add("-L", r.form())
	}
	if o := r.order; o != nil {
		add("--run", o.Definition)
		if o.Definition == "" {
			words = append(words, "--start")
		}
		add("--ttl", r.ttl())
		if o.Share {
			words = append(words, "--share")
		}
	}
	add("--probe", r.probe)
	add("--proxy-user", r.proxyUser())
	if r.keepAlive > 0 {
		add("--keep-alive", r.keepAlive.String())
	}
	if bind := r.exposed(); bind.IsValid() {
		add("--bind", bind.String())
	}
	if r.forward.Remote.LinkLocal() {
		words = append(words, "--allow-link-local")
	}
	return words
}

// step is the recipe as a step of a GitHub Actions workflow.
func (r recipe) step() string {
	var b strings.Builder
	b.WriteString("- uses: " + r.action + "\n  with:\n")
	add := func(input, value string) {
		if value != "" {
			b.WriteString("    " + input + ": " + yamlWord(value) + "\n")
		}
	}
	add("region", r.region)
	if r.inOneWord() {
		add("target", r.target.String())
	} else {
		add("cluster", r.target.Cluster)
		add("service", r.target.Service)
		add("task", r.target.Task)
		add("container", r.target.Container)
	}
	lines := func(input string, all []string) {
		if len(all) < 2 {
			add(input, strings.Join(all, ""))
			return
		}
		b.WriteString("    " + input + ": |\n")
		for _, line := range all {
			b.WriteString("      " + line + "\n")
		}
	}
	var forwards, named, dynamic []string
	var of *tunnel.Dynamic
	for _, f := range append([]tunnel.Forward{r.forward}, r.also...) {
		if f.Dynamic != nil {
			of = f.Dynamic
			dynamic = append(dynamic, f.String())
			continue
		}
		if f.To != "" {
			named = append(named, f.String())
			continue
		}
		forwards = append(forwards, recipe{forward: f, exact: r.exact}.form())
	}
	lines("forward", forwards)
	lines("to", named)
	lines("dynamic", dynamic)
	if of != nil {
		lines("via", forms(of.Via))
		lines("deny", forms(of.Deny))
		if of.Destinations > 0 {
			add("destinations", strconv.Itoa(of.Destinations))
		}
		lines("warm", hostPorts(of.Warm))
	}
	if o := r.order; o != nil {
		add("run", o.Definition)
		if o.Definition == "" {
			add("start", "true")
		}
		add("ttl", r.ttl())
		if o.Share {
			add("share", "true")
		}
	}
	add("probe", r.probe)
	for _, input := range r.inputs {
		add(input[0], input[1])
	}
	if user := r.proxyUser(); user != "" {
		add("proxy-user", user)
		add("proxy-password", "${{ secrets.CULVERT_PROXY_PASSWORD }}")
	}
	if r.keepAlive > 0 {
		add("keep-alive", r.keepAlive.String())
	}
	return b.String()
}

// ttl is after which time the started task ends; empty for the default.
func (r recipe) ttl() string {
	if r.order.TTL == aws.UsualTTL {
		return ""
	}
	return brief(r.order.TTL)
}

// brief writes a time span without zero units at its end.
func brief(span time.Duration) string {
	text := span.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// proxyUser is the user for the proxy at the far end; empty for a tunnel to any host, which has no proxy there.
func (r recipe) proxyUser() string {
	if r.forward.Dynamic != nil {
		return ""
	}
	return r.user
}

// form writes the forward as short as possible.
func (r recipe) form() string {
	if f := r.forward; !r.exact && f.Socket == "" && f.Remote.Host == "" && f.Local == netip.AddrPortFrom(netip.Addr{}, f.Remote.Port) {
		return f.Remote.String()
	}
	return r.forward.String()
}

// inOneWord reports whether the target can be written as cluster/service/task/container with no part missing before the last.
func (r recipe) inOneWord() bool {
	t := r.target
	if t.Service == "" {
		return t.Family != "" && t.Task == ""
	}
	return t.Container == "" || t.Task != ""
}

// exposed is the address to listen on, if other machines can reach it; zero for loopback.
func (r recipe) exposed() netip.Addr {
	if a := r.forward.Local.Addr(); a.IsValid() && !a.IsLoopback() {
		return a
	}
	return netip.Addr{}
}

// yamlWord quotes a value for YAML unless it is a plain word. Numbers are quoted too, as YAML 1.1 reads 15432:5432 as one in base
// sixty.
func yamlWord(s string) string {
	letters := strings.ContainsAny(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.") == ""
	if letters && plain && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(s)) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
