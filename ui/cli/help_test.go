package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpOf is what a command line prints.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := Run(t.Context(), Process{Args: args, Stdout: &out, Stderr: &problems}); code != 0 {
		t.Fatalf("culvert %s: exit code %d: %s", strings.Join(args, " "), code, &problems)
	}
	return out.String()
}

// everyCommand are the words of all commands that the help offers.
func everyCommand(t *testing.T) [][]string {
	t.Helper()
	var all [][]string
	var walk func(*cobra.Command, []string)
	walk = func(c *cobra.Command, words []string) {
		all = append(all, words)
		for _, below := range c.Commands() {
			if below.IsAvailableCommand() {
				walk(below, append(slices.Clip(words), below.Name()))
			}
		}
	}
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("x")
	walk(root, nil)
	if len(all) < 15 {
		t.Fatalf("only %d commands were found", len(all))
	}
	return all
}

func TestHelpFits80Columns(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, words := range everyCommand(t) {
		texts[strings.Join(words, " ")] = helpOf(t, append(slices.Clip(words), "--help")...)
	}
	for _, name := range topicNames() {
		texts["help "+name] = helpOf(t, "help", name)
	}
	for name, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(strings.TrimSpace(line), "/") && strings.Contains(name, "files") {
				continue // a path of this machine
			}
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("culvert %s has a line of %d columns: %s", name, n, line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Errorf("culvert %s has a line that ends in blanks: %q", name, line)
			}
		}
		if len(text) < 60 {
			t.Errorf("culvert %s explains nothing: %q", name, text)
		}
	}
}

func TestHelpNamesEveryFlagOfACommandOnce(t *testing.T) {
	t.Parallel()
	a := &app{}
	root := a.root()
	text := helpOf(t, "--help")
	known := func(f *pflag.Flag) {
		if n := strings.Count(text, " --"+f.Name+" ") + strings.Count(text, " --"+f.Name+"\n"); n < 1 && !f.Hidden {
			t.Errorf("culvert --help leaves out --%s", f.Name)
		}
		if headingOf(f) == flagsOwn && f.Name != "headless" && f.Name != "version" && f.Name != "help" {
			t.Errorf("--%s has no heading", f.Name)
		}
	}
	root.Flags().VisitAll(known)
	root.PersistentFlags().VisitAll(known)
	for _, heading := range headings() {
		if strings.Count(text, "\n"+heading+":\n") != 1 {
			t.Errorf("culvert --help has not the heading %q once", heading)
		}
	}
	for words, unwanted := range map[string]string{"status": "--lanes", "list": "--probe", "exec": "--upload-rate", "version": "--profile", "doctor": "--refresh"} {
		if strings.Contains(helpOf(t, words, "--help"), unwanted) {
			t.Errorf("culvert %s --help offers %s, which means nothing to it", words, unwanted)
		}
	}
	if text := helpOf(t, "up", "--help"); !strings.Contains(text, "--wait") || !strings.Contains(text, "--keep-alive") || !strings.Contains(text, "--via") || !strings.Contains(text, "--for") {
		t.Errorf("culvert up --help leaves out a flag that it has:\n%s", text)
	}
}

func TestFoldKeepsWhatIsLaidOutByHand(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 30)
	for given, want := range map[string]string{
		"":                 "\n",
		"one\ntwo":         "one two\n",
		"one\n\ntwo":       "one\n\ntwo\n",
		"one\n  two\nfour": "one\n  two\nfour\n",
		long:               strings.TrimSpace(strings.Repeat("word ", 16)) + "\n" + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n",
	} {
		if got := folded(given, 0); got != want {
			t.Errorf("%q is folded to %q, want %q", given, got, want)
		}
	}
}
