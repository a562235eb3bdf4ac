package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"culvert/internal/near"
)

const (
	// helpWidth is how many cells a line of the help has at most.
	helpWidth = 80
	// helpColumn is the column at which the words about a flag or command begin.
	helpColumn = 28
	// longestForm is how long a form of a flag's value may be to stand behind the flag's name; a longer one stands in the words.
	longestForm = 40
)

// The headings of flags, in the order of the help. Flags that a command defines without a heading stand under flagsOwn.
const (
	flagsOwn     = "Flags"
	flagsTarget  = "Target"
	flagsForward = "Forwards"
	flagsDemand  = "A task for the time of the tunnel"
	flagsCommand = "For the command behind --"
	flagsAccount = "Account"
	flagsTunnel  = "Tunnels"
	flagsScreen  = "Interface"
	flagsOutput  = "Output and files"
)

func headings() []string {
	return []string{flagsOwn, flagsTarget, flagsForward, flagsDemand, flagsCommand, flagsAccount, flagsTunnel, flagsScreen, flagsOutput}
}

const headingKey = "culvert_heading"

// under puts flags under a heading of the help: those that are named, or all if none is.
func under(heading string, f *pflag.FlagSet, names ...string) {
	f.VisitAll(func(flag *pflag.Flag) {
		if len(names) == 0 || slices.Contains(names, flag.Name) {
			flag.Annotations = map[string][]string{headingKey: {heading}}
		}
	})
}

func headingOf(f *pflag.Flag) string {
	if set := f.Annotations[headingKey]; len(set) > 0 {
		return set[0]
	}
	return flagsOwn
}

const usedKey = "culvert_used"

// uses says which shared flags have a meaning for a command: what has headings, or names of flags. The help leaves the others
// out, but the command still takes them, as an alias or a script may give the same flags to every command.
func uses(cmd *cobra.Command, what ...string) *cobra.Command {
	cmd.Annotations = map[string]string{usedKey: strings.Join(what, "\n")}
	return cmd
}

// used reports whether a shared flag has a meaning for a command.
func used(cmd *cobra.Command, f *pflag.Flag) bool {
	what := strings.Split(cmd.Annotations[usedKey], "\n")
	return slices.Contains(what, f.Name) || slices.Contains(what, headingOf(f))
}

// The groups of commands in the help.
const (
	groupTunnels = "tunnels"
	groupLook    = "look"
	groupOther   = "other"
)

func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: groupTunnels, Title: "Tunnels and containers"},
		{ID: groupLook, Title: "Looking around"},
		{ID: groupOther, Title: "Setting up"},
	}
}

// grouped puts commands into a group.
func grouped(id string, commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		c.GroupID = id
	}
	return commands
}

// writeHelp prints the text of --help.
func writeHelp(out io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString(folded(cmp.Or(cmd.Long, cmd.Short), 0))
	if cmd.Runnable() || cmd.HasAvailableSubCommands() {
		b.WriteString("\nUsage:\n")
		b.WriteString(usageLines(cmd))
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	writeCommands(&b, cmd)
	writeFlags(&b, cmd)
	if !cmd.HasParent() {
		b.WriteString("\nTopics:\n")
		for _, t := range topics() {
			b.WriteString(helpEntry("  "+t.name, t.about))
		}
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n" + folded("More about each: "+cmd.CommandPath()+" COMMAND --help"+topicHint(cmd), 0))
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func topicHint(cmd *cobra.Command) string {
	if cmd.HasParent() {
		return ""
	}
	return ", culvert help TOPIC"
}

// usageLines are the forms in which a command is written.
func usageLines(cmd *cobra.Command) string {
	var b strings.Builder
	if cmd.Runnable() {
		line := cmd.UseLine()
		if !cmd.HasParent() {
			line = "culvert [flags]\n  culvert --headless [flags] [-- COMMAND ARGUMENT...]"
		}
		b.WriteString("  " + line + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("  " + cmd.CommandPath() + " COMMAND [flags]\n")
	}
	return b.String()
}

// writeCommands lists the commands below a command, by their groups if they have groups.
func writeCommands(b *strings.Builder, cmd *cobra.Command) {
	list := func(title, group string) {
		first := true
		for _, c := range cmd.Commands() {
			if !c.IsAvailableCommand() || c.GroupID != group {
				continue
			}
			if first {
				b.WriteString("\n" + title + ":\n")
				first = false
			}
			b.WriteString(helpEntry("  "+c.Name(), c.Short))
		}
	}
	for _, g := range cmd.Groups() {
		list(g.Title, g.ID)
	}
	list("Commands", "")
}

// writeFlags lists the flags of a command, by their headings.
func writeFlags(b *strings.Builder, cmd *cobra.Command) {
	shown := map[string][]*pflag.Flag{}
	take := func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		heading := headingOf(f)
		if f.Name == "help" {
			heading = flagsOwn
		}
		shown[heading] = append(shown[heading], f)
	}
	cmd.LocalNonPersistentFlags().VisitAll(take)
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if used(cmd, f) && cmd.LocalNonPersistentFlags().Lookup(f.Name) == nil {
			take(f)
		}
	})
	for _, heading := range headings() {
		if len(shown[heading]) == 0 {
			continue
		}
		b.WriteString("\n" + heading + ":\n")
		for _, f := range shown[heading] {
			b.WriteString(flagEntry(f))
		}
	}
}

// flagEntry is the entry of a flag: its name, the form of its value and its words.
func flagEntry(f *pflag.Flag) string {
	name, words := pflag.UnquoteUsage(f)
	left := "      --" + f.Name
	if f.Shorthand != "" {
		left = "  -" + f.Shorthand + ", --" + f.Name
	}
	switch {
	case strings.Contains(name, "|") && len(name) > longestForm:
		words += ". One of " + strings.ReplaceAll(name, "|", ", ")
		left += " WORD"
	case name != "":
		left += " " + name
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
		words += " (default " + strings.Replace(f.DefValue, "m0s", "m", 1) + ")"
	}
	return helpEntry(left, words)
}

// helpEntry is a name with words about it, which stand beside it if there is room, else below.
func helpEntry(left, words string) string {
	if utf8.RuneCountInString(left)+2 > helpColumn {
		return left + "\n" + strings.Repeat(" ", helpColumn) + strings.TrimLeft(folded(words, helpColumn), " ")
	}
	return left + strings.Repeat(" ", helpColumn-utf8.RuneCountInString(left)) + strings.TrimLeft(folded(words, helpColumn), " ")
}

// folded breaks a text into lines that fit, each after some blanks. Paragraphs are kept, and lines that begin with a blank are
// not joined with others, as they are laid out by hand.
func folded(text string, blanks int) string {
	var b strings.Builder
	var line string
	end := func() {
		if line != "" {
			b.WriteString(strings.Repeat(" ", blanks) + line + "\n")
		}
		line = ""
	}
	for given := range strings.SplitSeq(text, "\n") {
		if given == "" || strings.HasPrefix(given, " ") {
			end()
			b.WriteString(given + "\n")
			continue
		}
		for word := range strings.FieldsSeq(given) {
			if line != "" && blanks+utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth {
				end()
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
	}
	end()
	return b.String()
}

// helpCommand is culvert help, for commands and topics.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "Explain a command or a topic",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if len(args) == 0 {
				return writeHelp(a.Stdout, root)
			}
			if len(args) == 1 {
				if t := topicNamed(args[0]); t != nil {
					return a.write(t.text(a))
				}
			}
			found, rest, err := root.Find(args)
			if err == nil && found != root && len(rest) == 0 {
				found.InitDefaultHelpFlag()
				return writeHelp(a.Stdout, found)
			}
			known := helpNames(root)
			name := strings.Join(args, " ")
			if meant := near.Name(args[0], known); meant != "" {
				return usage("did you mean culvert help "+meant+"?", "no command or topic %q", name)
			}
			return usage("topics are: "+strings.Join(topicNames(), ", ")+"; culvert --help lists the commands", "no command or topic %q", name)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return offered(helpNames(cmd.Root()))
		},
	}
}

// helpNames are the commands and topics that culvert help knows.
func helpNames(root *cobra.Command) []string {
	names := topicNames()
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}
