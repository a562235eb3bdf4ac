package cli

import (
	"slices"
	"strings"

	"culvert/ui/control"
	"culvert/ui/headless"
)

// What a shell takes over from `culvert env` it can give back: beforeVariable names each variable with a sum of what it was set
// to, and beforePrefix+NAME has what it was, where it was anything. Plain, as a log hides a secret only in its own form.
const (
	beforeVariable = "CULVERT_BEFORE"
	beforePrefix   = "CULVERT_BEFORE_"
)

// taken is a variable that a shell has taken over.
type taken struct {
	name, sum string
	before    string
	was       bool // it was there before
}

// mostTaken bounds what is read of beforeVariable.
const mostTaken = 500

// takenIn are the variables that a shell with this environment has taken over.
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

// isVariable reports whether a shell could have a variable of this name: what is printed is evaluated.
func isVariable(name string) bool {
	letters := func(r rune) bool { return r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }
	return name != "" && letters(rune(name[0])) && !strings.ContainsFunc(name, func(r rune) bool { return !letters(r) && (r < '0' || r > '9') })
}

// still reports whether the variable is as it was set; else somebody has set it since.
func (t taken) still(environment map[string]string) bool {
	return sumOf(environment[t.name]) == t.sum
}

// sumOf tells a value from others; a value may have a password in it.
func sumOf(value string) string { return control.NewExport("", "", value).Sum[:16] }

func environmentOf(variables []string) map[string]string {
	environment := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		environment[name] = value
	}
	return environment
}

// original is an environment as it would be if the shell gave back what it has taken over.
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

// giveBackTo is what makes a shell's variables what they were.
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

// forgotten takes away what is noted in an environment, but for names.
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

// takeOver is what gives a shell variables, and has it note what they were. wanted says what they are, over the environment
// without what the shell has taken over before, and which of those there are to go.
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
	for _, back := range giveBackTo(variables) { // what another set had set, and this one does not
		if !slices.ContainsFunc(all, func(a assignment) bool { return a.name == back.name }) && back.name != beforeVariable && !strings.HasPrefix(back.name, beforePrefix) {
			all = append(all, back)
		}
	}
	all = append(append(all, notes...), assignment{name: beforeVariable, value: strings.Join(sums, ",")})
	return append(all, forgotten(now, all)...)
}
