package cli

import (
	"fmt"
	"slices"
	"strings"

	"culvert/internal/say"
)

// The forms in which variables are printed, beside text and JSON.
const (
	formEnv        = "env"        // export NAME='value', for POSIX shells; fish reads it as well
	formDotenv     = "dotenv"     // NAME=value
	formPowerShell = "powershell" // $env:NAME = 'value'
)

// formValue is the flag -o of the commands that can print variables. There it replaces the shared flag.
type formValue struct {
	shared  *shared // its output is set as well; nil for the form alone
	choices []string
	chosen  string
}

func (v *formValue) Type() string { return strings.Join(v.choices, "|") }
func (v *formValue) String() string {
	if v.chosen == "" {
		return outputText
	}
	return v.chosen
}

func (v *formValue) Set(s string) error {
	if err := (choiceValue{&v.chosen, v.choices}).Set(s); err != nil || v.shared == nil {
		return err
	}
	output := v.shared.set.Lookup("output")
	output.Changed = true // so that environment and config file do not change it
	v.shared.output = outputText
	if s == outputJSON {
		v.shared.output = outputJSON
	}
	return nil
}

// variables reports whether variables are to be printed.
func (v *formValue) variables() bool { return shellForm(v.chosen) || v.chosen == formDotenv }

// failure is what is printed instead of variables after an error. It makes eval fail, which would succeed for empty output.
func (v *formValue) failure() string {
	switch v.chosen {
	case formEnv:
		return "false\n"
	case formPowerShell:
		return "throw 'culvert has no tunnel for this shell'\n"
	}
	return ""
}

// shellForm reports whether a form is evaluated by a shell, so that it can also remove a variable.
func shellForm(form string) bool { return form == formEnv || form == formPowerShell }

// assignment is a variable that is to have a value, or to be removed.
type assignment struct {
	name, value string
	gone        bool
}

// inForm writes assignments in a form.
func inForm(form string, all []assignment) (string, error) {
	var b strings.Builder
	switch form {
	case outputJSON:
		object := map[string]string{}
		for _, v := range all {
			object[v.name] = v.value
		}
		return say.JSON(object, "  ")
	case formDotenv:
		for _, v := range all {
			if strings.Trim(v.value, plainValue) != "" {
				return "", usage("use another form: -o env for a shell, -o json for programs", "%s cannot stand in a dotenv file, which programs read in different ways: %q", v.name, say.Line(v.value))
			}
			fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
		}
	case formPowerShell:
		for _, v := range all {
			if v.gone {
				fmt.Fprintf(&b, "Remove-Item -LiteralPath Env:%s -ErrorAction SilentlyContinue\n", v.name)
				continue
			}
			fmt.Fprintf(&b, "$env:%s = %s\n", v.name, powerShellString(v.value))
		}
	default:
		for _, v := range all {
			if v.gone {
				fmt.Fprintf(&b, "unset %s\n", v.name)
				continue
			}
			fmt.Fprintf(&b, "export %s=%s\n", v.name, shellString(v.value))
		}
	}
	return b.String(), nil
}

// plainValue are the characters that every reader of a dotenv file takes for themselves, a shell that sources it included.
// GitLab takes quotes for a part of the value, Docker as well; others take # or $ for something else.
const plainValue = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%[]*"

// shellString is a value for a POSIX shell, and for fish, to which a backslash between single quotes means something.
func shellString(s string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`).Replace(s) + "'"
}

// powerShellString is a value for PowerShell, to which typographic quotes are single quotes too, each with itself doubled.
func powerShellString(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		if slices.Contains([]rune{'\'', '\u2018', '\u2019', '\u201a', '\u201b'}, r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}
