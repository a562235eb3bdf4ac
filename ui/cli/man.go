package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"culvert/internal/trust"
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
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // manual pages are for everybody
				return fmt.Errorf("write the manual: %w", err)
			}
			if err := pages(root, *header, args[0]); err != nil {
				return fmt.Errorf("write the manual: %w", err)
			}
			return nil
		},
	}
}

// pages writes the pages of a command and of those below it.
func pages(cmd *cobra.Command, header doc.GenManHeader, dir string) error {
	for _, below := range cmd.Commands() {
		if !below.IsAvailableCommand() || below.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := pages(below, header, dir); err != nil {
			return err
		}
	}
	file, err := trust.Create(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
	if err != nil {
		return err
	}
	err = doc.GenMan(cmd, &header, file)
	return errors.Join(err, file.Chmod(0o644), file.Close())
}
