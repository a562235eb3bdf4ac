package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/ui/screen"
)

// sharedKeys are the keys that config files may set.
func sharedKeys() []string {
	return []string{"profile", "region", "wait", "read-only", "lanes", "probe"}
}

func TestConfigErrorsNameFileLineAndNearestKey(t *testing.T) {
	for name, c := range map[string]struct{ body, want, advice string }{
		"unknown key":        {"region: eu-west-1\nprofle: dev\n", `config file f.yaml, line 2: unknown key "profle"`, `did you mean "profile"?`},
		"nothing near":       {"xyzzyplugh: 1\n", `line 1: unknown key "xyzzyplugh"`, "known keys: bell, groups, keys, lanes, mouse"},
		"twice":              {"wait: 1s\nwait: 2s\n", `line 2: key "wait" appears twice`, "keep one"},
		"not a mapping":      {"- a\n", "line 1: the file is not a mapping", "KEY: VALUE"},
		"a list for a value": {"wait: [1s]\n", "line 1: wait has no single value", "wait: VALUE"},
		"nothing for it":     {"wait:\n", "line 1: wait has no single value", "wait: VALUE"},
		"not YAML":           {"a: b: c\n", "mapping values are not allowed", "correct the YAML"},
		"tunnel key":         {"tunnels:\n  a: {targt: c/s, forward: \"1\"}\n", `line 2: unknown key "targt"`, `did you mean "target"?`},
		"tunnel forward":     {"tunnels:\n  a: {target: c/s, forward: \"1:2:3:4:5\"}\n", `line 2: forward "1:2:3:4:5"`, "write PORT"},
		"tunnel target":      {"tunnels:\n  a: {target: c, forward: \"1\"}\n", `line 2: target "c"`, "cluster/service"},
		"tunnel probe":       {"tunnels:\n  a: {target: c/s, forward: \"1\", probe: ftp://x}\n", `"ftp://x" is neither`, "correct the value"},
		"tunnel incomplete":  {"tunnels:\n  a: {target: c/s}\n", "tunnel a has no forward", "CLUSTER/SERVICE"},
		"group member":       {"tunnels:\n  sqid: {target: c/s, forward: \"1\"}\ngroups:\n  dev: [squid]\n", `line 4: group dev names an unknown tunnel "squid"`, `did you mean "sqid"?`},
		"two documents":      {"wait: 1s\n---\nregion: x\n", "line 2: it has a second document", "keep one document"},
		"bell":               {"bell: loud\n", `line 1: bell is "loud"`, "bell: lost"},
		"group":              {"groups:\n  dev: squid\n", "line 2: group dev is not a list", "[TUNNEL"},
	} {
		_, err := parseConfig("f.yaml", []byte(c.body), sharedKeys())
		e, ok := errors.AsType[*ConfigError](err)
		if !ok {
			t.Errorf("%s: got %v, want a *ConfigError", name, err)
			continue
		}
		if !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Remedy(), c.advice) {
			t.Errorf("%s: got %q (%s), want %q (%s)", name, e.Error(), e.Remedy(), c.want, c.advice)
		}
	}
}

func TestConfigAdmitsTheDocumentedFile(t *testing.T) {
	const body = `
region: eu-west-1
wait: 30s
read-only: true
mouse: no
bell: all
keys: {quit: Q}
tunnels:
  squid:    {target: automation/squid, forward: "3128", probe: "https://api.internal/health"}
  orders-db: {target: automation/squid, forward: "15432:orders-db.internal:5432"}
groups:
  dev: [squid, orders-db]
`
	got, err := parseConfig("f.yaml", []byte(body), sharedKeys())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]setting{"region": {"eu-west-1", 2}, "wait": {"30s", 3}, "read-only": {"true", 4}} {
		if got.settings[key] != want {
			t.Errorf("%s: got %+v, want %+v", key, got.settings[key], want)
		}
	}
	if got.bell == nil || *got.bell != screen.BellAll {
		t.Errorf("got the bell %v, want all", got.bell)
	}
}

// inDirectory makes a project below a home directory and goes there.
func inDirectory(t *testing.T, userFile, project string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	for path, body := range map[string]string{"config/culvert/config.yaml": userFile, "src/.culvert.yaml": project, "src/deep/down/x": ""} {
		path = filepath.Join(home, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(home, "src", "deep", "down"))
}

func TestFlagBeatsEnvironmentBeatsUser(t *testing.T) {
	inDirectory(t, "wait: 1m\nregion: user\nprofile: user\nlanes: 3\n", "tunnels: {squid: {target: c/s, forward: \"1\", profile: project, region: project, lanes: 9}}\n")
	t.Setenv("CULVERT_WAIT", "3m")
	t.Setenv("CULVERT_REGION", "environment")
	var s shared
	if err := s.flags().Parse([]string{"--wait", "4m"}); err != nil {
		t.Fatal(err)
	}
	if err := s.resolve(); err != nil {
		t.Fatal(err)
	}
	if s.wait != 4*time.Minute || s.region != "environment" || s.profile != "user" || s.lanes != 3 || s.messageSize != 1024 {
		t.Errorf("got wait %s, region %s, profile %s, lanes %d, message size %d", s.wait, s.region, s.profile, s.lanes, s.messageSize)
	}
}

func TestTheMessageSizeIsANumberOrAuto(t *testing.T) {
	for name, c := range map[string]struct {
		user, env string
		args      []string
		want      int
	}{
		"by default":  {want: tunnel.DefaultMessageSize},
		"user file":   {user: "message-size: auto\n", want: tunnel.AutoMessageSize},
		"environment": {user: "message-size: 2048\n", env: "auto", want: tunnel.AutoMessageSize},
		"flag":        {user: "message-size: auto\n", env: "auto", args: []string{"--message-size", "4096"}, want: 4096},
		"flag, auto":  {env: "4096", args: []string{"--message-size", "auto"}, want: tunnel.AutoMessageSize},
	} {
		t.Run(name, func(t *testing.T) {
			inDirectory(t, c.user, "")
			if c.env != "" {
				t.Setenv("CULVERT_MESSAGE_SIZE", c.env)
			}
			var s shared
			if err := s.flags().Parse(c.args); err != nil {
				t.Fatal(err)
			}
			if err := s.resolve(); err != nil || s.messageSize != c.want {
				t.Errorf("got %d, %v; want %d", s.messageSize, err, c.want)
			}
		})
	}
}

func TestValuesAreRefusedWhereverTheyComeFrom(t *testing.T) {
	inDirectory(t, "region: x\nwait: soon\n", "")
	for name, c := range map[string]struct {
		env, value string
		args       []string
		want       string
	}{
		"user file":     {want: "config.yaml, line 2: wait: time: invalid duration \"soon\""},
		"environment":   {env: "CULVERT_LANES", value: "none", args: []string{"--wait=1s"}, want: `CULVERT_LANES: "none" is neither auto nor a number`},
		"missing file":  {env: "CULVERT_CONFIG", value: "/nowhere/c.yaml", want: "config file /nowhere/c.yaml: no such file"},
		"password":      {env: "CULVERT_ENDPOINT_URL", value: "http://u:p@h", args: []string{"--wait=1s"}, want: "--endpoint-url: an endpoint URL cannot hold"},
		"hectic":        {args: []string{"--wait=1s", "--re-resolve=10ms"}, want: "--re-resolve: 10ms is too short"},
		"senseless":     {args: []string{"--wait=-1s"}, want: "--wait: -1s is too short"},
		"message size":  {env: "CULVERT_MESSAGE_SIZE", value: "1", args: []string{"--wait=1s"}, want: `CULVERT_MESSAGE_SIZE: "1" is neither auto nor a number from 256 to 65536`},
		"output form":   {env: "CULVERT_OUTPUT", value: "xml", args: []string{"--wait=1s"}, want: `"xml" is not one of text, json`},
		"level":         {env: "CULVERT_LOG_LEVEL", value: "loud", args: []string{"--wait=1s"}, want: `"loud" is not one of debug`},
		"probe in text": {env: "CULVERT_PROBE", value: "gopher://x", args: []string{"--wait=1s"}, want: `"gopher://x" is neither none`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv(c.env, c.value)
			}
			var s shared
			if err := s.flags().Parse(c.args); err != nil {
				t.Fatal(err)
			}
			err := s.resolve()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if !isUsage(err) || advice(err, "") == "" {
				t.Errorf("%v: usage %t, remedy %q; want a usage error with a remedy", err, isUsage(err), advice(err, ""))
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"region: x\n", "tunnels: {a: {target: c/s, forward: 1}}\ngroups: {g: [a]}\n", "a: &x [*x]\n", "? [a]\n: b\n", "wait: &a 1s\nregion: *a\n", "<<: {region: x}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := parseConfig("f.yaml", body, sharedKeys())
		if err != nil {
			if _, ok := errors.AsType[*ConfigError](err); !ok {
				t.Fatalf("%q: %T is not a *ConfigError", body, err)
			}
			return
		}
		for key, s := range set.settings {
			if s.line < 1 || s.line > bytes.Count(body, []byte("\n"))+bytes.Count(body, []byte("\r"))+2 {
				t.Fatalf("%q: key %q on line %d", body, key, s.line)
			}
		}
	})
}
