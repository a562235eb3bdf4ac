package cli

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resolved resolves the shared flags of a command line.
func resolved(t *testing.T, args ...string) (*shared, error) {
	t.Helper()
	var s shared
	if err := s.flags().Parse(args); err != nil {
		t.Fatal(err)
	}
	return &s, s.resolve()
}

func TestAProjectFileSaysWhichTunnelsExistAndNothingElse(t *testing.T) {
	const tunnel = "tunnels:\n  a: {target: c/s, forward: \"1\", probe: tcp, profile: p, region: r, lanes: 2"
	inDirectory(t, "", tunnel+"}\ngroups: {g: [a]}\n")
	s, err := resolved(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.saved.tunnels) != 1 || !s.saved.tunnels[0].project || s.saved.tunnels[0].profile != "p" || len(s.saved.groups) != 1 {
		t.Errorf("got %+v", s.saved)
	}
	if s.profile != "" || s.region != "" || s.lanes != 0 {
		t.Errorf("got profile %q, region %q, lanes %d of a tunnel that nobody has opened", s.profile, s.region, s.lanes)
	}
	for _, key := range append(s.names(), "keys", "mouse", "bell", "config", "nonsense", "endpoint_url", "<<") {
		inDirectory(t, "", "groups: {}\n"+key+": x\n")
		_, err := resolved(t)
		mustRefuse(t, err, ".culvert.yaml, line 2: \""+key+"\" is not for a project file: it belongs into your own, ", filepath.Join("config", "culvert", "config.yaml"), "--config ", "known keys: groups, tunnels")
	}
	for _, key := range []string{"role-arn", "endpoint-url", "log-file", "bind", "socket"} {
		inDirectory(t, "", tunnel+", "+key+": x}\n")
		_, err := resolved(t)
		mustRefuse(t, err, ".culvert.yaml, line 2: \""+key+"\" is not for a project file", "--config ", "forward, lanes, probe, profile, region, spread, target")
	}
}

// mustRefuse wants a *ConfigError that says all of that, in its text or its remedy.
func mustRefuse(t *testing.T, err error, says ...string) {
	t.Helper()
	e, ok := errors.AsType[*ConfigError](err)
	if !ok {
		t.Fatalf("got %v, want a *ConfigError that says %q", err, says)
	}
	for _, part := range says {
		if !strings.Contains(e.Error()+"\n"+e.Remedy(), part) {
			t.Errorf("got %s\n→ %s\nwant %q in it", e.Error(), e.Remedy(), part)
		}
	}
}

func TestWhatTheUserNamesMaySayEverything(t *testing.T) {
	const body = "region: eu-west-1\nkeys: {quit: Q}\ntunnels: {a: {target: c/s, forward: \"1\", role-arn: \"arn:aws:iam::111122223333:role/x\"}}\n"
	inDirectory(t, "", body)
	_, err := resolved(t)
	mustRefuse(t, err, `"region"`)
	for how, args := range map[string][]string{"flag": {"--config", "../../.culvert.yaml"}, "environment": nil} {
		if args == nil {
			t.Setenv("CULVERT_CONFIG", "../../.culvert.yaml")
		}
		s, err := resolved(t, args...)
		if err != nil || s.region != "eu-west-1" || s.saved.tunnels[0].role == "" || s.saved.tunnels[0].project {
			t.Errorf("%s: got %+v, %v", how, s, err)
		}
	}
	inDirectory(t, body, "")
	t.Setenv("CULVERT_CONFIG", "")
	if s, err := resolved(t); err != nil || s.region != "eu-west-1" || s.saved.tunnels[0].role == "" {
		t.Errorf("the user's own file: got %+v, %v", s, err)
	}
	inDirectory(t, "", "nonsense: [")
	if _, err := resolved(t, "--config", os.DevNull); err != nil {
		t.Errorf("a project file was looked for beside --config: %v", err)
	}
}

// Who names a directory must not write commands: remedies are meant to be pasted.
func TestRemediesAreWordsOfAShell(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "$(touch x) ; y")
	lay(t, path, map[string]string{".culvert.yaml": "profile: x\n"})
	_, err = readProject(path)
	mustRefuse(t, err, "--config '"+path+"/.culvert.yaml' to say yes")
	lay(t, path+"/2", map[string]string{".culvert.yaml -> x": ""})
	_, err = readProject(path + "/2")
	mustRefuse(t, err, "--config '"+path+"/2/.culvert.yaml' (or")
}

func TestAProbeHoldsNoPassword(t *testing.T) {
	for _, url := range []string{"http://kim:hunter2@x.internal/", "https://hunter2@x.internal", "http://kim:hunter2@x y", "ftp://kim:hunter2@x"} {
		if err := new(probeValue).Set(url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if err := new(probeValue).Set("https://x.internal/@kim"); err != nil {
		t.Error(err)
	}
}

// A name that the user has given stands for what the user meant, wherever the shell happens to be.
func TestAProjectTakesNoNameOfTheUsers(t *testing.T) {
	inDirectory(t, "tunnels: {db: {target: mine/s, forward: \"1\"}}\ngroups: {all: [db]}\n",
		"tunnels: {db: {target: theirs/s, forward: \"1\"}, all: {target: theirs/s, forward: \"1\"}, web: {target: theirs/s, forward: \"1\"}}\ngroups: {both: [db, web]}\n")
	var said bytes.Buffer
	a := &app{Process: Process{Stderr: &said}}
	if err := a.shared.flags().Parse(nil); err != nil {
		t.Fatal(err)
	}
	if err := a.shared.resolve(); err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string][]string{"db": {"mine"}, "all": {"mine"}, "web": {"theirs"}, "both": {"mine", "theirs"}} {
		wanted, _, err := (&up{}).wanted(a, []string{word})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range wanted {
			got = append(got, w.Query.Cluster)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got clusters %q, want %q", word, got, want)
		}
	}
	for text, times := range map[string]int{"using the project file ": 1, "the tunnel db of ": 1} {
		if got := strings.Count(said.String(), text); got != times {
			t.Errorf("%q was said %d times, want %d:\n%s", text, got, times, said.String())
		}
	}
}

// lay makes files below a directory; a name that ends in "/" is a directory, "a -> b" a link.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		from, to, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(dir, filepath.FromSlash(from))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(to, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		default:
			err = os.WriteFile(path, []byte(files[name]), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhereAProjectFileIsLookedFor(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		at    string
		found string // "" is none; "!" an error
	}{
		"here":                     {map[string]string{"src/.culvert.yaml": ""}, "src", "src"},
		"above":                    {map[string]string{"src/.culvert.yaml": "", "src/a/b/": ""}, "src/a/b", "src"},
		"the nearest":              {map[string]string{"src/.culvert.yaml": "", "src/a/.culvert.yaml": "", "src/a/b/": ""}, "src/a/b", "src/a"},
		"at the repository's root": {map[string]string{"src/.culvert.yaml": "", "src/.git/": "", "src/a/": ""}, "src/a", "src"},
		"above the repository":     {map[string]string{".culvert.yaml": "", "src/.git/": "", "src/a/": ""}, "src/a", ""},
		"above a worktree":         {map[string]string{".culvert.yaml": "", "src/.git": "gitdir: x", "src/a/": ""}, "src/a", ""},
		"above a submodule":        {map[string]string{"src/.culvert.yaml": "", "src/.git/": "", "src/sub/.git": "gitdir: x"}, "src/sub", ""},
		"at home":                  {map[string]string{"home/.culvert.yaml": "", "home/src/": ""}, "home/src", "home"},
		"above home":               {map[string]string{".culvert.yaml": "", "home/src/": ""}, "home/src", ""},
		"above what a link is in":  {map[string]string{"a/.culvert.yaml": "", "b/real/": "", "a/link -> ../b/real": ""}, "a/link", ""},
		"above where a link leads": {map[string]string{"b/.culvert.yaml": "", "b/real/": "", "a/link -> ../b/real": ""}, "a/link", "b"},
		"a link":                   {map[string]string{"src/.culvert.yaml -> real.yaml": "", "src/real.yaml": ""}, "src", "!"},
		"a link into nothing":      {map[string]string{"src/.culvert.yaml -> nothing": ""}, "src", "!"},
		"a link below another":     {map[string]string{".culvert.yaml": "", "src/.culvert.yaml -> ../.culvert.yaml": ""}, "src", "!"},
		"a directory":              {map[string]string{"src/.culvert.yaml/": ""}, "src", "!"},
		"nothing":                  {map[string]string{"src/": ""}, "src", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			lay(t, dir, test.files)
			lay(t, dir, map[string]string{".git/": ""}) // nothing above the test has a say
			t.Setenv("HOME", filepath.Join(dir, "home"))
			t.Setenv("USERPROFILE", filepath.Join(dir, "home"))
			got := ""
			switch file, err := openProject(filepath.Join(dir, filepath.FromSlash(test.at))); {
			case err != nil:
				mustRefuse(t, err, "not read, as", "--config "+filepath.Join(dir, filepath.FromSlash(test.at), ".culvert.yaml"), "CULVERT_CONFIG")
				got = "!"
			case file != nil:
				rel, err := filepath.Rel(dir, filepath.Dir(file.Name()))
				if err = errors.Join(err, file.Close()); err != nil {
					t.Fatal(err)
				}
				got = filepath.ToSlash(rel)
			}
			if got != test.found {
				t.Errorf("got %q, want %q", got, test.found)
			}
		})
	}
}

func TestAProjectsSocketsStayInItsOwnPlaces(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lay(t, dir, map[string]string{
		"src/.culvert.yaml": "", "src/run/": "", "src/sub/": "", "elsewhere/": "", "runtime/culvert/": "", "src/out -> ../elsewhere": "",
		"src/to-runtime -> ../runtime": "", "src/nowhere -> ../nothing": "", "src/in -> run": "", "src-2/": "",
	})
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "runtime"))
	t.Chdir(filepath.Join(dir, "src"))
	file := filepath.Join(dir, "src", ".culvert.yaml")
	for socket, good := range map[string]bool{
		"": true, "./x.sock": true, dir + "/src/x.sock": true, dir + "/src/run/x.sock": true, dir + "/src/in/x.sock": true, dir + "/src/new/deep/x.sock": true,
		dir + "/runtime/x.sock": true, dir + "/runtime/culvert/x.sock": true, dir + "/src/to-runtime/x.sock": true, dir + "/src/a..b.sock": true,
		dir + "/x.sock": false, dir + "/elsewhere/x.sock": false, dir + "/src/out/x.sock": false, dir + "/src/out/new/x.sock": false, dir + "/src-2/x.sock": false,
		dir + "/src/nowhere/x.sock": false, dir + "/src/../x.sock": false, "../x.sock": false, "./sub/../../x.sock": false, dir + "/src/out/../x.sock": false, "/tmp/x.sock": false,
	} {
		if err := checkProjectSocket(file, socket); (err == nil) != good {
			t.Errorf("%q: got %v, want good %t", socket, err, good)
		}
	}
	_, err = checker{file: file, project: true}.parse([]byte("tunnels: {a: {target: c/s, forward: \"/etc/x.sock:1\"}}\n"), projectKeys())
	mustRefuse(t, err, "line 1", `socket "/etc/x.sock"`, "put it below "+filepath.Join(dir, "src"), filepath.Join(dir, "runtime"))
	if _, err := parseConfig(file, []byte("tunnels: {a: {target: c/s, forward: \"/etc/x.sock:1\"}}\n"), nil); err != nil {
		t.Errorf("the user's own file: %v", err)
	}
}

func FuzzProjectFile(f *testing.F) {
	for _, seed := range []string{"endpoint-url: x\n", "tunnels: {a: {target: c/s, forward: 1}}\ngroups: {g: [a]}\n", "\"endpoint\\x2durl\": x\n", "<<: {profile: x}\n", "&a tunnels: {}\n", "--- {}\n--- {profile: x}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := checker{file: "/p/.culvert.yaml", project: true}.parse(body, projectKeys())
		if _, ok := errors.AsType[*ConfigError](err); err != nil && !ok {
			t.Fatalf("%q: %T is not a *ConfigError", body, err)
		}
		if len(set.settings) > 0 || set.keys != nil || set.mouse != nil {
			t.Fatalf("%q: a project file sets %+v", body, set)
		}
		for _, tunnel := range set.saved.tunnels {
			if tunnel.role != "" || !tunnel.project {
				t.Fatalf("%q: got %+v", body, tunnel)
			}
		}
	})
}
