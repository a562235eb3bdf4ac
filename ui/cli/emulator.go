package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"culvert/aws/emulator"
	"culvert/internal/say"
)

// emulator serves the embedded account to other programs.
func (a *app) emulator() *cobra.Command {
	listen := ""
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "Serve the embedded demo account for other AWS clients",
		Long: "Serves the embedded account on loopback until a signal, and prints the exports that point the aws command,\n" +
			"culvert and every AWS SDK at it.",
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			demo, err := startDemo(emulator.Options{Listen: listen, Log: newLog(a.Stderr, a.shared.logLevel.Level)})
			if err != nil {
				return err
			}
			defer demo.close()
			text, err := a.exports(demo)
			if err != nil {
				return err
			}
			if err := a.write(text); err != nil {
				return err
			}
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "loopback `ADDRESS:PORT` to serve on (default any free port)")
	return cmd
}

// exports are the variables to set, as a shell reads them or as a JSON object.
func (a *app) exports(demo *demoAccount) (string, error) {
	variables := demo.emulator.Env()
	if a.shared.output == outputJSON {
		object := map[string]string{"ca_certificate": demo.certificate}
		for _, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			object[name] = value
		}
		return say.JSON(object, "  ")
	}
	var b strings.Builder
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, quoted(value))
	}
	fmt.Fprintf(&b, "# the certificate of the authority of https://billing.internal/ is in %s\n", demo.certificate)
	b.WriteString("# ctrl+c ends the account\n")
	return b.String(), nil
}

// quoted quotes text as one word of a POSIX shell.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-+=:,./@%", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
