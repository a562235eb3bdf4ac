package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"culvert/internal/tree"
)

// man writes the manual.
func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print the manual page, or write those of all commands to a directory",
		Args:  atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			var err error
			if len(args) == 0 {
				err = a.printManual(root)
			} else {
				err = writeManuals(root, args[0])
			}
			if err != nil {
				return fmt.Errorf("write the manual: %w", err)
			}
			return nil
		},
	}
}

func (a *app) printManual(root *cobra.Command) error {
	at, err := manualDate()
	if err != nil {
		return err
	}
	_, err = a.Stdout.Write(manualPage(root, at))
	return err
}

// writeManuals writes a page for each command. It follows no symbolic link in dir.
func writeManuals(root *cobra.Command, dir string) error {
	at, err := manualDate()
	if err != nil {
		return err
	}
	to, err := tree.Open(dir)
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // a directory that was only looked at
	for commands := []*cobra.Command{root}; len(commands) > 0; commands = commands[1:] {
		cmd := commands[0]
		commands = append(commands, documented(cmd)...)
		if err := to.Put(pageName(cmd)+"."+manualSection, manualPage(cmd, at)); err != nil {
			return err
		}
	}
	return nil
}
