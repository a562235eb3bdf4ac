package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manualSection is the section of the manual for commands.
const manualSection = "1"

// manualPage is a command's page in the macros of man(7). Cobra's own generator writes Markdown and translates it with packages
// whose initialisation would make every start of culvert slower.
func manualPage(cmd *cobra.Command, at time.Time) []byte {
	cmd.InitDefaultHelpFlag()
	var p roff
	p.linef(`.TH "CULVERT" "%s" "%s" "culvert" "User Commands"`, manualSection, at.UTC().Format("Jan 2006"))
	p.linef(".nh")   // names are not broken
	p.linef(".ad l") // and lines are not stretched
	p.heading("NAME")
	p.text(pageName(cmd) + " - " + cmd.Short)
	p.heading("SYNOPSIS")
	p.bold(cmd.UseLine())
	p.heading("DESCRIPTION")
	p.prose(cmp.Or(cmd.Long, cmd.Short))
	p.options("OPTIONS", cmd.NonInheritedFlags())
	p.options("OPTIONS INHERITED FROM PARENT COMMANDS", cmd.InheritedFlags())
	if cmd.Example != "" {
		p.heading("EXAMPLE")
		p.example(strings.Split(cmd.Example, "\n"))
	}
	var others []string
	if cmd.HasParent() {
		others = append(others, pageName(cmd.Parent()))
	}
	for _, c := range documented(cmd) {
		others = append(others, pageName(c))
	}
	if len(others) > 0 {
		p.heading("SEE ALSO")
		for i, name := range others {
			after := ","
			if i == len(others)-1 {
				after = ""
			}
			p.linef(`.BR %s (%s)%s`, escape(name), manualSection, after)
		}
	}
	return []byte(p.String())
}

// pageName is the name by which man finds the page of a command.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// documented are the commands below a command that have a page.
func documented(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool {
		return !c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand()
	})
}

// manualDate is the time in SOURCE_DATE_EPOCH, for reproducible builds (reproducible-builds.org/docs/source-date-epoch), else
// now.
func manualDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds: %w", text, err)
	}
	return time.Unix(seconds, 0), nil
}

// roff is a page that is being written.
type roff struct{ strings.Builder }

func (p *roff) linef(format string, a ...any) { _, _ = fmt.Fprintf(p, format+"\n", a...) } // it never fails

func (p *roff) heading(name string) { p.linef(".SH %s", name) }

func (p *roff) text(s string) { p.linef("%s", escape(s)) }

func (p *roff) bold(s string) { p.linef(`\fB%s\fP`, escape(s)) }

// prose writes paragraphs. Lines that are set in stay as they are.
func (p *roff) prose(text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for len(lines) > 0 {
		n := 1
		switch inset := strings.HasPrefix(lines[0], " ") || strings.HasPrefix(lines[0], "\t"); {
		case lines[0] == "":
			p.linef(".PP")
		case inset:
			for n < len(lines) && (strings.HasPrefix(lines[n], " ") || strings.HasPrefix(lines[n], "\t")) {
				n++
			}
			p.example(lines[:n])
		default:
			p.text(lines[0])
		}
		lines = lines[n:]
	}
}

func (p *roff) example(lines []string) {
	p.linef(".nf")
	for _, l := range lines {
		p.text(l)
	}
	p.linef(".fi")
}

func (p *roff) options(heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.heading(heading)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Deprecated != "" || f.Hidden {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		p.linef(".TP")
		short := ""
		if f.Shorthand != "" && f.ShorthandDeprecated == "" {
			short = `\fB` + escape("-"+f.Shorthand) + `\fP, `
		}
		value := ""
		if name != "" {
			value = ` \fI` + escape(name) + `\fP`
		}
		p.linef(`%s\fB%s\fP%s`, short, escape("--"+f.Name), value)
		if !slices.Contains([]string{"", "false", "[]", "0", "0s"}, f.DefValue) && !strings.Contains(usage, "default") {
			usage += " (default " + f.DefValue + ")"
		}
		p.prose(usage)
	})
}

// escape writes text so that troff reads it as text: not as an escape, or as a request at the beginning of a line, with a minus
// instead of a hyphen, and with characters beyond ASCII in any encoding.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case i == 0 && (r == '.' || r == '\''):
			b.WriteString(`\&` + string(r))
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r >= utf8.RuneSelf:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
