package cli

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// own is the account that the shared flags name.
func (s *shared) own() control.Account {
	return control.Account{Profile: s.profile, Region: s.region, Role: s.role, Token: s.tokenVariable, Endpoint: s.endpoint, Named: s.endpointNamed && s.endpoint != ""}
}

// accountOf is the account of a saved tunnel. Each part comes from a flag of the command line, else from the tunnel's entry, else
// from the environment and the config files. A region or role from the environment and the config files belongs to the profile
// there: a tunnel that names another profile does not get it.
func (s *shared) accountOf(t *savedTunnel) control.Account {
	found := s.own()
	if s.demo {
		return found
	}
	given := func(flag string) bool { return s.set.Lookup(flag).Changed }
	if t.profile != "" && t.profile != s.profile && !given("profile") {
		found.Profile = t.profile
		if !given("region") {
			found.Region = ""
		}
		if !given("role-arn") {
			found.Role = ""
		}
		if !given("web-identity-token-env") {
			found.Token = ""
		}
	}
	switch {
	case t.region != "" && !given("region"):
		found.Region = t.region
	case t.target.Home.Region != "" && !s.regionChosen():
		found.Region = t.target.Home.Region // goHome does the same for a target of the flags
	}
	if t.role != "" && !given("role-arn") {
		found.Role = t.role
	}
	return found
}

// named returns the parts of an account that are as the tunnel's own entry names them.
func (t *savedTunnel) named(in control.Account) (own control.Account) {
	if in.Profile == t.profile {
		own.Profile = t.profile
	}
	if in.Region == t.region {
		own.Region = t.region
	}
	if in.Role == t.role {
		own.Role = t.role
	}
	return own
}

// recorded is an account as a record has it: with what the environment adds, as another process may have another environment.
func recorded(in control.Account) control.Account {
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" { // keys win over AWS_PROFILE, but not over a profile of the flags or the entry
		in.Profile = cmp.Or(in.Profile, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"))
	}
	in.Region = cmp.Or(in.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	return in
}

// wording names the parts of an account that are set, each after a comma; empty when none is.
func wording(in control.Account) string {
	var text strings.Builder
	for _, part := range [][2]string{{"profile", in.Profile}, {"region", in.Region}, {"role-arn", in.Role}, {"web-identity-token-env", in.Token}, {"endpoint-url", in.Endpoint}} {
		if part[1] != "" {
			text.WriteString(", " + part[0] + " " + part[1])
		}
	}
	return text.String()
}

// accounts connects to the accounts of a set's tunnels: to each once, when the first of its tunnels is looked for.
type accounts struct {
	app  *app
	acc  *account    // has the log, the journal and the demo
	base aws.Options // the options that the shared flags give

	known map[control.Account]*headless.Account
}

// of returns an account in the form that headless takes.
func (all *accounts) of(ctx context.Context, in control.Account) *headless.Account {
	if all.known[in] == nil {
		all.known[in] = &headless.Account{Connect: func(waiting context.Context) (*aws.Client, error) {
			client, err := aws.Connect(waiting, all.options(in))
			if err == nil {
				all.app.endLeftBeside(ctx, all.acc, client, all.app)
			}
			return client, err
		}}
	}
	return all.known[in]
}

func (all *accounts) options(in control.Account) aws.Options {
	o := all.base
	if all.acc.demo == nil {
		o.Profile, o.Region, o.RoleARN, o.TokenVariable, o.Endpoint, o.EndpointTrusted = in.Profile, in.Region, in.Role, in.Token, in.Endpoint, in.Named
	}
	return o
}

// endRecorded terminates the sessions that the process of a record has left, in each account of the record. What fails is told on
// stderr.
func (a *app) endRecorded(ctx context.Context, in []control.Account) {
	if a.shared.demo || !tunnel.AnyLeft(sessionsDir(), slog.New(slog.DiscardHandler)) {
		return
	}
	if len(in) == 0 {
		in = []control.Account{a.shared.own()} // the record was damaged, or written by an older culvert, which recorded no accounts
	}
	acc := &account{}
	defer acc.close()
	base, err := acc.prepare(a) //nolint:contextcheck // only the demo would start anything
	if err != nil {
		a.noticef("warning: what it has left is not ended: %v", err)
		return
	}
	all := accounts{app: a, acc: acc, base: base}
	var ending sync.WaitGroup
	for _, one := range in {
		ending.Go(func() {
			connecting, cancel := context.WithTimeout(ctx, terminateLeft)
			defer cancel()
			client, err := aws.Connect(connecting, all.options(one))
			if err != nil {
				a.noticef("warning: sessions that it has left%s end by the account's idle timeout: %v", wording(one), err)
				return
			}
			a.endLeft(ctx, acc.log, client, a)
		})
	}
	ending.Wait()
}

// above are accounts with what was given on the command line in place of what they say.
func (s *shared) above(all []control.Account) []control.Account {
	for i := range all {
		in := &all[i]
		for flag, value := range map[string]*string{"profile": &in.Profile, "region": &in.Region, "role-arn": &in.Role, "web-identity-token-env": &in.Token, "endpoint-url": &in.Endpoint} {
			if f := s.set.Lookup(flag); f.Changed {
				*value = f.Value.String()
				in.Named = in.Named || flag == "endpoint-url"
			}
		}
	}
	return all
}
