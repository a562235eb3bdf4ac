package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"culvert/internal/tree"
)

// man writes the manual.
func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print the manual page, or write those of all commands to a directory",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Title: "CULVERT", Section: "1", Source: "culvert", Manual: "User Commands"}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if len(args) == 0 {
				if err := doc.GenMan(root, header, a.Stdout); err != nil {
					return fmt.Errorf("write the manual: %w", err)
				}
				return nil
			}
			if err := writeManuals(root, header, args[0]); err != nil {
				return fmt.Errorf("write the manual: %w", err)
			}
			return nil
		},
	}
}

// writeManuals writes a page for each command, as doc.GenManTree does, but through no link.
func writeManuals(root *cobra.Command, header *doc.GenManHeader, dir string) error {
	to, err := tree.Open(dir)
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // a directory that was only looked at
	for commands := []*cobra.Command{root}; len(commands) > 0; commands = commands[1:] {
		cmd := commands[0]
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
				commands = append(commands, c)
			}
		}
		var page bytes.Buffer
		own := *header // GenMan completes it
		if err := doc.GenMan(cmd, &own, &page); err != nil {
			return err
		}
		if err := to.Put(strings.ReplaceAll(cmd.CommandPath(), " ", "-")+"."+header.Section, page.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
