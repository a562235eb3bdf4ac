package cli

import (
	"slices"
	"strings"

	"culvert/ui/control"
	"culvert/ui/headless"
)

// A shell can give back the variables that `culvert env` has set. beforeVariable has the names of these variables, each with a
// sum of the value that was set, and beforePrefix+NAME has the value before, if there was one. That value is not encoded, as a
// log that hides secrets only recognises them in their own form.
const (
	beforeVariable = "CULVERT_BEFORE"
	beforePrefix   = "CULVERT_BEFORE_"
)

// taken is a variable that a shell has from `culvert env`.
type taken struct {
	name, sum string
	before    string
	was       bool // the variable had a value before
}

// mostTaken is how many variables are read from beforeVariable at most.
const mostTaken = 500

// takenIn returns the variables that a shell with this environment has from `culvert env`.
func takenIn(environment map[string]string) []taken {
	var all []taken
	for word := range strings.SplitSeq(environment[beforeVariable], ",") {
		name, sum, ok := strings.Cut(word, ":")
		if !ok || !isVariable(name) || len(all) == mostTaken {
			continue
		}
		before, was := environment[beforePrefix+name]
		all = append(all, taken{name, sum, before, was})
	}
	return all
}

// isVariable reports whether a name can be that of a shell's variable. No other name may be printed, as the output is evaluated.
func isVariable(name string) bool {
	letters := func(r rune) bool { return r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }
	return name != "" && letters(rune(name[0])) && !strings.ContainsFunc(name, func(r rune) bool { return !letters(r) && (r < '0' || r > '9') })
}

// still reports whether the variable still has the value that was set, so that nobody has changed it since.
func (t taken) still(environment map[string]string) bool {
	return sumOf(environment[t.name]) == t.sum
}

// sumOf is the beginning of a value's sum, by which a change is noticed. The value itself may have a password in it.
func sumOf(value string) string { return control.NewExport("", "", value).Sum[:16] }

func environmentOf(variables []string) map[string]string {
	environment := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		environment[name] = value
	}
	return environment
}

// original is an environment as it would be after the shell has given back the variables from `culvert env`.
func original(variables []string) []string {
	environment := environmentOf(variables)
	for _, t := range takenIn(environment) {
		switch {
		case !t.still(environment):
		case t.was:
			environment[t.name] = t.before
		default:
			delete(environment, t.name)
		}
	}
	var given []string
	for name, value := range environment {
		if name != beforeVariable && !strings.HasPrefix(name, beforePrefix) {
			given = append(given, name+"="+value)
		}
	}
	slices.Sort(given)
	return given
}

// giveBackTo returns the assignments that make a shell's variables as they were before `culvert env`.
func giveBackTo(variables []string) []assignment {
	environment := environmentOf(variables)
	var all []assignment
	for _, t := range takenIn(environment) {
		if t.still(environment) {
			all = append(all, assignment{name: t.name, value: t.before, gone: !t.was})
		}
	}
	return append(all, forgotten(environment, nil)...)
}

// forgotten returns assignments that remove the notes of an environment, except for those that but sets.
func forgotten(environment map[string]string, but []assignment) []assignment {
	var all []assignment
	for name := range environment {
		noted := name == beforeVariable || strings.HasPrefix(name, beforePrefix)
		if noted && isVariable(name) && !slices.ContainsFunc(but, func(a assignment) bool { return a.name == name }) {
			all = append(all, assignment{name: name, gone: true})
		}
	}
	slices.SortFunc(all, func(a, b assignment) int { return strings.Compare(a.name, b.name) })
	return all
}

// takeOver returns the assignments that set variables in a shell, and that note what the variables were before. wanted returns
// the variables to set and the names of those to remove; it gets the environment without the variables of an earlier `culvert
// env`.
func takeOver(variables []string, wanted func(given []string) ([]headless.Pair, []string)) []assignment {
	given := original(variables)
	before, now := environmentOf(given), environmentOf(variables)
	pairs, dropped := wanted(given)
	var all, notes []assignment
	var sums []string
	note := func(name, value string) {
		sums = append(sums, name+":"+sumOf(value))
		if was, there := before[name]; there {
			notes = append(notes, assignment{name: beforePrefix + name, value: was})
		}
	}
	for _, p := range pairs {
		all = append(all, assignment{name: p.Name, value: p.Value})
		note(p.Name, p.Value)
	}
	for _, name := range dropped {
		if isVariable(name) {
			all = append(all, assignment{name: name, gone: true})
			note(name, "")
		}
	}
	for _, back := range giveBackTo(variables) { // variables of an earlier call that this one does not set
		if !slices.ContainsFunc(all, func(a assignment) bool { return a.name == back.name }) && back.name != beforeVariable && !strings.HasPrefix(back.name, beforePrefix) {
			all = append(all, back)
		}
	}
	all = append(append(all, notes...), assignment{name: beforeVariable, value: strings.Join(sums, ",")})
	return append(all, forgotten(now, all)...)
}
