package cli

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"culvert/internal/need"
	"culvert/ui/headless"
)

// hostileValues try to be more than a value to a shell.
func hostileValues() []string {
	return []string{
		"", "plain", "a b", "$(id >&2; echo no)", "`id`", "';id;'", `\';id;\'`, `a\`, `\\`, `\n`, "line\nexport X='1'\n", "tab\t", "\"", "a'b\\'c", "!!", "~", "*", "#x", "-n", "%s%0a", "ümläut", "\u2018;id;\u2019", "a\x1b[31m", "x=y", "{{.Addr}}", "\r\n",
	}
}

// Every shell takes each value for what it is, and nothing else.
func TestShellsReadTheirForms(t *testing.T) {
	var set []assignment
	for i, value := range hostileValues() {
		set = append(set, assignment{name: "CULVERT_TEST_" + string(rune('A'+i)), value: value})
	}
	text, err := inForm(formEnv, append(set, assignment{name: "CULVERT_GONE", gone: true}))
	if err != nil {
		t.Fatal(err)
	}
	for shell, line := range map[string][]string{
		"bash": {"-uec", `eval "$1"; env -0`, "x", text}, "dash": {"-uec", `eval "$1"; env -0`, "x", text},
		"zsh": {"-fuec", `eval "$1"; env -0`, "x", text}, "busybox": {"sh", "-uec", `eval "$1"; env -0`, "x", text},
		"fish": {"-N", "-c", "eval $argv[1]; env -0", strings.ReplaceAll(text, "unset CULVERT_GONE", "set -e CULVERT_GONE")},
	} {
		t.Run(shell, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), need.Command(t, shell), line...)
			cmd.Env = append(os.Environ(), "CULVERT_GONE=1", "HOME="+t.TempDir())
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil || said.Len() > 0 {
				t.Fatalf("%v: %s", err, &said)
			}
			all := strings.Split(string(out), "\x00")
			for _, v := range set {
				if !slices.Contains(all, v.name+"="+v.value) {
					t.Errorf("%q did not arrive", v.value)
				}
			}
			if slices.Contains(all, "CULVERT_GONE=1") {
				t.Error("what is to be gone is there")
			}
		})
	}
}

// PowerShell's strings end at any of five quotes that is not doubled ("about_Quoting_Rules", and CharTraits.cs).
func TestPowerShellReadsItsForm(t *testing.T) {
	const quotes = "'\u2018\u2019\u201a\u201b"
	for _, value := range hostileValues() {
		literal := []rune(powerShellString(value))
		var read []rune
		i := 1
		for ; i < len(literal); i++ {
			if strings.ContainsRune(quotes, literal[i]) {
				if i+1 == len(literal) || !strings.ContainsRune(quotes, literal[i+1]) {
					break
				}
				i++
			}
			read = append(read, literal[i])
		}
		if string(read) != value || i != len(literal)-1 {
			t.Errorf("%q: PowerShell reads %q up to %d of %d", value, string(read), i, len(literal))
		}
	}

	pwsh, err := exec.LookPath("pwsh")
	if err != nil {
		need.Elsewhere(t, "PowerShell itself", "no Debian package brings it; GitHub's runners have it (ci.yml, systems)")
		return
	}
	// Neither the command line nor the console's encoding has a part in it.
	var script, want []string
	for _, value := range hostileValues() {
		script = append(script, "[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("+powerShellString(value)+"))")
		want = append(want, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	var encoded []byte
	for _, unit := range utf16.Encode([]rune(strings.Join(script, "\n"))) {
		encoded = binary.LittleEndian.AppendUint16(encoded, unit)
	}
	out, err := exec.CommandContext(t.Context(), pwsh, "-NoProfile", "-NonInteractive", "-EncodedCommand", base64.StdEncoding.EncodeToString(encoded)).Output()
	got := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n"), "\n")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("PowerShell: %v, got %q\nwant %q", err, got, want)
	}
}

// A dotenv file is read in many ways: what not all of them read alike is refused, and no shell that sources it does anything.
func TestADotenvFileHasOnlyPlainValues(t *testing.T) {
	for _, value := range hostileValues() {
		text, err := inForm(formDotenv, []assignment{{name: "A", value: value}})
		plain := slices.Contains([]string{"", "plain", "*", "-n", "%s%0a", "x=y"}, value)
		if (err == nil) != plain {
			t.Errorf("%q: got %q, %v", value, text, err)
		}
		if err != nil && !strings.Contains(err.Error(), "A cannot stand in a dotenv file") {
			t.Error(err)
		}
	}
	// What there is usually stands in it.
	text, err := inForm(formDotenv, []assignment{{name: "HTTP_PROXY", value: "http://al%20ice:p%24w@127.0.0.1:3128"}, {name: "CULVERT_ADDR", value: "[::1]:3128"}, {name: "NO_PROXY", value: "localhost,.internal,10.0.0.0/8,*.x"}})
	if want := "HTTP_PROXY=http://al%20ice:p%24w@127.0.0.1:3128\nCULVERT_ADDR=[::1]:3128\nNO_PROXY=localhost,.internal,10.0.0.0/8,*.x\n"; err != nil || text != want {
		t.Errorf("got %q, %v", text, err)
	}
}

// evaluated is an environment after a shell has evaluated assignments.
func evaluated(environment []string, all []assignment) []string {
	after := environmentOf(environment)
	for _, v := range all {
		after[v.name] = v.value
		if v.gone {
			delete(after, v.name)
		}
	}
	var text []string
	for name, value := range after {
		text = append(text, name+"="+value)
	}
	slices.Sort(text)
	return text
}

// What a shell has taken over, once or again and from another set, it gives back; what somebody else has set since stays.
func TestAShellGivesBackWhatItHasTakenOver(t *testing.T) {
	wants := func(pairs ...headless.Pair) func([]string) ([]headless.Pair, []string) {
		return func(given []string) ([]headless.Pair, []string) {
			proxies := environmentOf(given)["NO_PROXY"]
			return append(pairs, headless.Pair{Name: "NO_PROXY", Value: proxies + ",localhost"}), []string{"CULVERT_PORT_9"}
		}
	}
	before := []string{"CULVERT_PORT_9=1", "EMPTY=", "HTTP_PROXY=http://corp:p%24w@proxy:1", "NO_PROXY=.corp", "PATH=/bin"}
	one := evaluated(before, takeOver(before, wants(headless.Pair{Name: "HTTP_PROXY", Value: "http://127.0.0.1:1"}, headless.Pair{Name: "EMPTY", Value: "x"}, headless.Pair{Name: "CULVERT_PORT", Value: "1"})))
	again := evaluated(one, takeOver(one, wants(headless.Pair{Name: "HTTP_PROXY", Value: "http://127.0.0.1:2"}, headless.Pair{Name: "CULVERT_HOST", Value: "::1"})))
	now := environmentOf(again)
	if now["HTTP_PROXY"] != "http://127.0.0.1:2" || now["NO_PROXY"] != ".corp,localhost" || now["CULVERT_HOST"] != "::1" || slices.Contains(again, "CULVERT_PORT=1") || !slices.Contains(again, "EMPTY=") {
		t.Errorf("got %q", again)
	}
	for _, taken := range [][]string{one, again} {
		if got := evaluated(taken, giveBackTo(taken)); !slices.Equal(got, before) {
			t.Errorf("got  %q\nwant %q", got, before)
		}
		if got := original(taken); !slices.Equal(got, before) {
			t.Errorf("got  %q\nwant %q", got, before)
		}
	}
	touched := evaluated(again, []assignment{{name: "HTTP_PROXY", value: "http://mine"}})
	if got := environmentOf(evaluated(touched, giveBackTo(touched)))["HTTP_PROXY"]; got != "http://mine" {
		t.Errorf("what the user has set since became %q", got)
	}
	if got := environmentOf(original(touched))["HTTP_PROXY"]; got != "http://mine" {
		t.Errorf("what the user has set since was %q before", got)
	}
	if got := giveBackTo(before); len(got) != 0 {
		t.Errorf("a shell that has taken over nothing gives back %v", got)
	}
}

// What stands in the note comes from an environment, and what is printed is evaluated.
func TestANoteOfOthersIsNoCommand(t *testing.T) {
	forged := []string{
		"CULVERT_BEFORE=" + strings.Join([]string{"a;id:" + sumOf(""), "$(id):" + sumOf(""), ":" + sumOf(""), "1A:" + sumOf(""), "PATH", "OK:" + sumOf(""), "x\ny:" + sumOf("")}, ","),
		"CULVERT_BEFORE_OK=$(id)", "CULVERT_BEFORE_$(id)=x", "CULVERT_BEFORE_\n=x",
	}
	text, err := inForm(formEnv, giveBackTo(forged))
	if want := "export OK='$(id)'\nunset CULVERT_BEFORE\nunset CULVERT_BEFORE_OK\n"; err != nil || text != want {
		t.Errorf("got %q, %v\nwant %q", text, err, want)
	}
	many := "CULVERT_BEFORE=" + strings.Repeat("A:"+sumOf("")+",", 100000)
	if got := len(takenIn(environmentOf([]string{many}))); got != mostTaken {
		t.Errorf("got %d", got)
	}
}

func TestEvalFailsWhereThereIsNoTunnel(t *testing.T) {
	for _, dir := range []string{"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(dir, t.TempDir())
	}
	for _, args := range [][]string{{"env"}, {"env", "ci"}, {"env", "../x"}, {"env", "--proxy-env=export"}, {"env", "--unset", "ci"}, {"up", "-o", "env"}} {
		var out, problems strings.Builder
		if code := Run(t.Context(), Process{Args: args, Stdout: &out, Stderr: &problems}); code == 0 {
			t.Errorf("%v: got 0", args)
		}
		err := exec.CommandContext(t.Context(), need.Command(t, "bash"), "-ec", `eval "$1"; echo went on`, "x", out.String()).Run()
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(problems.String(), "remedy: ") {
			t.Errorf("%v: eval of %q: %v\n%s", args, out.String(), err, &problems)
		}
	}
}
