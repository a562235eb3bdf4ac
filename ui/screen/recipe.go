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

// recipe is a tunnel as somebody would open it without the screen.
type recipe struct {
	demo            bool
	profile, region string // empty: what the environment says
	endpoint, role  string // of --endpoint-url and --role-arn
	document        string
	stream          string // of --stream-endpoint
	target          aws.Target
	forward         tunnel.Forward
	probe           string
	user            string // of the proxy at the far end
	keepAlive       time.Duration
	exact           bool   // the local port must be that of forward
	action          string // that the workflow step uses; empty when it is not known

	order  *aws.Order       // what is started for it; nil: it is there
	also   []tunnel.Forward // in the same workflow step
	inputs [][2]string      // more of the workflow step: names and values
}

// command is the recipe for a shell.
func (r recipe) command() string {
	words := []string{"culvert", "--headless"}
	for _, w := range r.flags() {
		words = append(words, say.Word(w))
	}
	return strings.Join(words, " ")
}

// flags are the recipe for a command line.
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

// step is the recipe for a workflow of GitHub Actions.
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

// ttl is the time of what is started; empty where it is the usual one.
func (r recipe) ttl() string {
	if r.order.TTL == aws.UsualTTL {
		return ""
	}
	return brief(r.order.TTL)
}

// brief writes a span without the parts of it that are zero at its end.
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

// proxyUser is whom the proxy at the far end wants: a tunnel to any host has none there.
func (r recipe) proxyUser() string {
	if r.forward.Dynamic != nil {
		return ""
	}
	return r.user
}

// form is the forward as short as it can be said.
func (r recipe) form() string {
	if f := r.forward; !r.exact && f.Socket == "" && f.Remote.Host == "" && f.Local == netip.AddrPortFrom(netip.Addr{}, f.Remote.Port) {
		return f.Remote.String()
	}
	return r.forward.String()
}

// inOneWord reports whether the target can be written as cluster/service/task/container without a gap.
func (r recipe) inOneWord() bool {
	t := r.target
	if t.Service == "" {
		return t.Family != "" && t.Task == ""
	}
	return t.Container == "" || t.Task != ""
}

// exposed is the address to listen on where others can reach it; zero on loopback.
func (r recipe) exposed() netip.Addr {
	if a := r.forward.Local.Addr(); a.IsValid() && !a.IsLoopback() {
		return a
	}
	return netip.Addr{}
}

// yamlWord quotes a value of YAML unless it is a plain word. A number is quoted: YAML 1.1 reads 15432:5432 in base sixty.
func yamlWord(s string) string {
	letters := strings.ContainsAny(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.") == ""
	if letters && plain && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(s)) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
