package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"culvert/ui/headless"
)

// behind are the flags for what uses the tunnels: a command, or the steps that follow `up`.
type behind struct {
	proxy     proxyValue
	noProxy   []string
	keepGoing bool
}

const noProxyUsage = "`HOSTS` to reach without the proxy, beside this machine and what NO_PROXY holds already"

// flags returns the flags that are for a command behind --.
func (b *behind) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("command", pflag.ContinueOnError)
	f.Var(&b.proxy, "proxy-env", "proxy variables for the command behind --: all adds ALL_PROXY, java JAVA_TOOL_OPTIONS; commas join them")
	f.StringSliceVar(&b.noProxy, "no-proxy", nil, noProxyUsage)
	b.proxy.keepFlag(f)
	f.BoolVar(&b.keepGoing, "keep-going", false, "let the command's exit code stand when a tunnel is lost for good meanwhile")
	under(flagsCommand, f)
	return f
}

// command is the command behind --; nil when there is none.
func (b *behind) command(a *app, args []string) (*headless.Command, error) {
	if b.proxy.export {
		return nil, usage("use it with culvert up, or leave it out", "--proxy-env=export is for the steps after culvert up")
	}
	if len(args) == 0 {
		b.idle(a)
		return nil, nil //nolint:nilnil // no command is wanted
	}
	command := &headless.Command{
		Args: args, Env: os.Environ(), Proxy: b.proxy.ProxyEnv, NoProxy: b.noProxy, KeepGoing: b.keepGoing, Signals: a.Signals,
	}
	command.Stdin, _ = a.Stdin.(*os.File) // nil, so no input for the command, when Stdin is no file
	command.Stdout, _ = a.Stdout.(*os.File)
	command.Stderr, _ = a.Stderr.(*os.File)
	return command, nil
}

// idle warns that flags for a command have no effect, as there is no command.
func (b *behind) idle(a *app) {
	for _, f := range []struct {
		flag  string
		given bool
	}{{"--proxy-env=" + b.proxy.text, b.proxy.text != ""}, {"--no-proxy", len(b.noProxy) > 0}, {"--no-proxy-keep=no", b.proxy.Drop}, {"--keep-going", b.keepGoing}} {
		if f.given {
			a.warn(usage("add -- COMMAND, or leave it out; the later steps of a GitHub job get a proxy from culvert up", "%s is for a command behind --, and there is none", f.flag))
		}
	}
}

// proxyValue says which proxy variables are set.
type proxyValue struct {
	headless.ProxyEnv

	export bool // all variables are written to GITHUB_ENV
	text   string
}

// keepFlag adds the flag for keeping or dropping what NO_PROXY already has.
func (v *proxyValue) keepFlag(f *pflag.FlagSet) {
	f.Var(keepValue{&v.Drop}, "no-proxy-keep", "whether what NO_PROXY holds already stays in it; no where it exempts what is behind the tunnel")
}

// keepValue is a flag with yes or no; yes sets drop to false.
type keepValue struct{ drop *bool }

func (v keepValue) Type() string { return "yes|no" }

func (v keepValue) String() string {
	if v.drop != nil && *v.drop {
		return "no"
	}
	return "yes"
}

func (v keepValue) Set(s string) error {
	text := "yes"
	choice := choiceValue{&text, []string{"yes", "no"}}
	if err := choice.Set(s); err != nil {
		return err
	}
	*v.drop = text == "no"
	return nil
}

func (v *proxyValue) Type() string { return "yes|no|all|java|export" }

func (v *proxyValue) String() string {
	if v.text == "" {
		return "yes"
	}
	return v.text
}

func (v *proxyValue) Set(s string) error {
	set := proxyValue{text: s}
	set.Said, set.Drop = s, v.Drop
	for word := range strings.SplitSeq(s, ",") {
		switch strings.TrimSpace(word) {
		case "yes":
		case "no":
			set.Off = true
		case "all":
			set.All = true
		case "java":
			set.Java = true
		case "export":
			set.export = true
		default:
			return fmt.Errorf("%q is not one of yes, no, all, java, export", word)
		}
	}
	if set.Off {
		set.Said = ""
	}
	if set.Off && (set.All || set.Java || set.export) {
		return fmt.Errorf("%q asks for both none and some", s)
	}
	*v = set
	return nil
}
