package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"culvert/deploy"
	"culvert/internal/say"
)

// deploy writes out the infrastructure that the binary carries.
func (a *app) deploy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Write out the infrastructure: the proxy in the VPC, its roles, the trust in GitHub",
		Long:  "Writes the infrastructure that culvert reaches as a Terraform module or a CloudFormation template.\nIt calls no AWS and changes nothing there: what to do with the files, docs/deploy.md says.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("see "+cmd.CommandPath()+" --help", "%s: name terraform or cloudformation, and a directory", cmd.CommandPath())
			}
			return usage("see "+cmd.CommandPath()+" --help", "%s: %q is neither terraform nor cloudformation", cmd.CommandPath(), args[0])
		},
	}
	cmd.AddCommand(
		a.deployForm(deploy.Terraform, "Write the Terraform module, with examples and tests"),
		a.deployForm(deploy.CloudFormation, "Write the CloudFormation template"),
	)
	return cmd
}

func (a *app) deployForm(form deploy.Form, short string) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   string(form) + " DIR",
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name where to put the files: "+cmd.CommandPath()+" DIR", "%s: no directory", cmd.CommandPath())
			}
			return atMost(1)(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			done, err := deploy.Write(form, args[0], force)
			if err != nil {
				return err
			}
			text, err := a.wrote(done)
			if err != nil {
				return err
			}
			return a.write(text)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite files that were changed")
	return cmd
}

// wrote lists what was done with each file.
func (a *app) wrote(done []deploy.File) (string, error) {
	if a.shared.output == outputJSON {
		return say.JSON(map[string]any{"files": done}, "  ")
	}
	var b strings.Builder
	for _, file := range done {
		verb := "unchanged"
		if file.Written {
			verb = "wrote"
		}
		fmt.Fprintf(&b, "%-9s  %s\n", verb, file.Path)
	}
	return b.String(), nil
}
