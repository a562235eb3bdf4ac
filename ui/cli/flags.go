package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/screen"
)

// shared are the flags of every command. Each can also come from the environment (CULVERT_…) or a config file.
type shared struct {
	profile, region, endpoint, role string
	tokenVariable                   string
	document                        string
	stream                          string // the endpoint of the websockets
	demo                            bool
	wait                            time.Duration
	probe                           probeValue
	lanes                           lanesValue
	spread                          string // yes or no
	relay                           string // auto, no or require
	messageSize, uploadRate         int
	keepAlive, reResolve            time.Duration
	roleDuration                    time.Duration
	proxyUser, proxyPasswordFile    string
	output                          string
	logLevel                        levelValue
	logFile, config                 string
	refresh                         time.Duration
	readOnly                        bool
	linkLocal                       bool // a flag of the commands that forward, see forwards
	anyHost                         anyHost

	keys  map[string][]string // the keys of the interface, from the config files
	mouse *bool               // from the config files; nil when they do not say
	bell  *screen.Bell        // from the config files; nil when they do not say

	set *pflag.FlagSet // all of the above

	build         string // the build, in the form that relays are told
	noProject     bool   // project files are not read
	endpointNamed bool   // the endpoint is from the command line or the environment, not from a file

	saved   saved    // the tunnels and groups of the config files
	inForce []string // the config files that exist
}

const (
	outputText = "text"
	outputJSON = "json"
)

// flags defines the shared flags with their defaults.
func (s *shared) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("shared", pflag.ContinueOnError)
	f.StringVar(&s.profile, "profile", "", "`NAME` of the AWS profile")
	f.StringVar(&s.region, "region", "", "AWS `REGION`")
	f.StringVar(&s.endpoint, "endpoint-url", "", "`URL` in place of the AWS services' endpoints; single sign-on keeps its own")
	f.StringVar(&s.stream, "stream-endpoint", "", "`URL` where the sessions' websockets are dialled, such as a VPC endpoint for ssmmessages without private DNS")
	f.StringVar(&s.role, "role-arn", "", "role `ARN` to assume: through GitHub's OIDC when running there, else through STS")
	f.StringVar(&s.tokenVariable, "web-identity-token-env", "", "`NAME` of the environment variable with an OIDC token, which --role-arn (or AWS_ROLE_ARN) is assumed with: that of a pipeline's job")
	f.Var(durationValue{&s.roleDuration}, "role-duration", "how long the credentials of --role-arn are good for, 15m to 12h and no longer than that role allows; they are renewed by themselves (default 1h, STS's)")
	f.StringVar(&s.document, "document", "", "`NAME` or ARN of the account's own session document, in place of AWS's two for ports")
	f.BoolVar(&s.demo, "demo", false, "use the embedded demo account")
	s.wait = 2 * time.Minute
	f.Var(durationValue{&s.wait}, "wait", "how long to wait until the forwards are proved ready, for list and for doctor; a bare number is seconds")
	f.Var(&s.probe, "probe", "how to prove that: the connect and what the port stands for (auto), less, one protocol by name, or a URL that is fetched through the proxy")
	f.StringVar(&s.proxyUser, "proxy-user", "", "`USER` whom a proxy at the far end wants; the password is in CULVERT_PROXY_PASSWORD or a file")
	f.StringVar(&s.proxyPasswordFile, "proxy-password-file", "", "`FILE` with the password of --proxy-user, for you alone to read")
	f.Var(&s.lanes, "lanes", "sessions per tunnel; auto is one while it is quiet, and up to 8 as connections are active at the same time, 4 where the container has little memory")
	s.spread = "yes"
	f.Var(choiceValue{&s.spread, []string{"yes", "no"}}, "spread", "whether several sessions of a tunnel to a service spread over its tasks; one to a named task stays there")
	s.relay = relayAuto
	f.Var(choiceValue{&s.relay, []string{relayAuto, relayNo, relayRequire}}, "relay", "whether a relay in the task bonds the sessions, so that one connection gets the rate of several: where the task definition has one and it answers (auto), never, or nothing goes without it")
	s.messageSize = tunnel.DefaultMessageSize
	f.Var(sizeValue{&s.messageSize}, "message-size", "payload of one message on the way up; auto tries larger ones as there is much to send, up to 16 KiB")
	f.Var(bytesValue{&s.uploadRate, 0, 1 << 40, "BYTES/s"}, "upload-rate", "ceiling of the rate on the way up, which adapts by itself; 0 is none")
	f.Var(durationValue{&s.keepAlive}, "keep-alive", "send a byte this often, which overrides the account's idle timeout; 0 is off")
	s.reResolve = time.Minute
	f.Var(durationValue{&s.reResolve}, "re-resolve", "how old the address of a remote host's name may be for a new connection; 0 keeps it until connections fail")
	s.output = outputText
	f.VarP(choiceValue{&s.output, []string{outputText, outputJSON}}, "output", "o", "form of the output")
	s.logLevel = levelValue{}
	_ = s.logLevel.Set("warn")
	f.Var(&s.logLevel, "log-level", "least level that is logged")
	f.StringVar(&s.logFile, "log-file", "", "`FILE` to log to, instead of stderr")
	f.StringVar(&s.config, "config", "", "config `FILE`, instead of the user's own and a project's .culvert.yaml")
	s.refresh = 10 * time.Second
	f.Var(durationValue{&s.refresh}, "refresh", "how often the interface looks again")
	f.BoolVar(&s.readOnly, "read-only", false, "open and end nothing")
	under(flagsTunnel, f)
	s.anyHost.flags(f)
	under(flagsAccount, f, "profile", "region", "endpoint-url", "stream-endpoint", "role-arn", "role-duration", "web-identity-token-env", "document", "demo")
	under(flagsScreen, f, "refresh", "read-only")
	under(flagsOutput, f, "output", "log-level", "log-file", "config")
	s.set = f
	return f
}

// settingError says that a value cannot be used, whatever its source.
type settingError struct {
	source string // "--wait", "CULVERT_WAIT" or "config file …, line 3: wait"
	advice string
	err    error
}

func (e *settingError) Error() string  { return fmt.Sprintf("%s: %s", e.source, e.err) }
func (e *settingError) Unwrap() error  { return e.err }
func (e *settingError) Remedy() string { return e.advice }

// resolve completes the flags that were not given: from the environment and the user's file, in this order.
func (s *shared) resolve() error {
	names := s.names()
	if path := os.Getenv(variable("config")); path != "" && !s.set.Lookup("config").Changed {
		s.config = path
	}
	files, err := s.files(names)
	if err != nil {
		return err
	}
	s.saved, s.inForce = saved{}, nil
	for _, f := range files {
		if f.found {
			s.inForce = append(s.inForce, f.path)
		}
		s.saved.merge(f.saved)
		if s.keys == nil {
			s.keys = f.keys
		}
		if s.mouse == nil {
			s.mouse = f.mouse
		}
		if s.bell == nil {
			s.bell = f.bell
		}
	}
	s.endpointNamed = s.set.Lookup("endpoint-url").Changed || os.Getenv(variable("endpoint-url")) != ""
	for _, name := range names {
		if err := complete(s.set.Lookup(name), files); err != nil {
			return err
		}
	}
	return s.check()
}

// names are the names of the shared flags that can be keys of a config file.
func (s *shared) names() []string {
	var names []string
	s.set.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			names = append(names, f.Name)
		}
	})
	return names
}

// files reads the config files, and returns the one with precedence first. With --config that is only this file, which may say
// everything; else the user's own file, and that of the project, which can only have tunnels and groups.
func (s *shared) files(names []string) ([]configFile, error) {
	if s.config != "" {
		f, err := readConfig(s.config, true, names)
		return []configFile{f}, err
	}
	own, err := readConfig(findPaths().Config, false, names)
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	if s.noProject || err != nil {
		return []configFile{own}, nil //nolint:nilerr // a directory that no longer exists has no project
	}
	project, err := readProject(dir)
	return []configFile{own, project}, err
}

// complete sets a flag that was not given from the first source that has it.
func complete(f *pflag.Flag, files []configFile) error {
	if f.Changed {
		return nil
	}
	if text := os.Getenv(variable(f.Name)); text != "" {
		if err := f.Value.Set(text); err != nil {
			return &settingError{source: variable(f.Name), advice: "set it to " + form(f) + ", or unset it", err: err}
		}
		return nil
	}
	for _, file := range files {
		if set, ok := file.settings[f.Name]; ok {
			if err := f.Value.Set(set.value); err != nil {
				return &ConfigError{File: file.path, Line: set.line, Problem: f.Name + ": " + err.Error(), Advice: "set it to " + form(f)}
			}
			return nil
		}
	}
	return nil
}

// variable is the name of the environment variable for a flag.
func variable(flag string) string {
	return "CULVERT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// form says what values a flag takes.
func form(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration such as 90s or 2m; a bare number is seconds"
	}
	if name == "" {
		name = f.Value.Type()
	}
	return strings.ReplaceAll(name, "|", " or ")
}

// check refuses values that can be parsed but make no sense.
func (s *shared) check() error {
	leastAge := time.Second
	if s.reResolve == 0 {
		leastAge = 0 // 0 turns it off, and is allowed
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{{"wait", s.wait, time.Millisecond}, {"keep-alive", s.keepAlive, 0}, {"re-resolve", s.reResolve, leastAge}, {"refresh", s.refresh, time.Second}} {
		if d.value < d.least {
			return &settingError{source: "--" + d.flag, advice: "give at least " + d.least.String(), err: fmt.Errorf("%s is too short", d.value)}
		}
	}
	if err := aws.CheckTokenVariable(s.tokenVariable); err != nil {
		return &settingError{source: "--web-identity-token-env", advice: say.Remedy(err), err: err}
	}
	if s.document != "" {
		if err := aws.CheckDocument(s.document); err != nil {
			return &settingError{source: "--document", advice: say.Remedy(err), err: err}
		}
	}
	if err := aws.CheckEndpoint(s.endpoint); err != nil {
		return &settingError{source: "--endpoint-url", advice: say.Remedy(err), err: err}
	}
	if err := aws.CheckStreamEndpoint(s.stream); err != nil {
		return &settingError{source: "--stream-endpoint", advice: say.Remedy(err), err: err}
	}
	return nil
}
