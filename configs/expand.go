package configs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Variables are where ${name} is looked up. In a file, ${name} must have a value
// and ${name:default} may go without; a default ends at the first }. $${ is a
// literal ${. Values are taken as they stand: a ${ in them is not looked at.
type Variables struct {
	Flags map[string]string           // from -v name=value; each must be used. They win over Env
	Env   func(string) (string, bool) // the environment; nil is an empty one
	Run   map[string]string           // run.id and run.scheduled_time, as far as they are known. Nothing else can set them
}

const runPrefix = "run."

var runNames = []string{"run.id", "run.scheduled_time"}

// variableName leaves room for nothing that a shell or an R user would write
// after ${ with another meaning.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

type expansion struct {
	Variables
	seen map[string]bool // names in the file
}

type fault struct{ message, hint string }

// expand replaces the variables in a text, and tells whether there were any:
// the text then has no type of its own.
func (x *expansion) expand(text string) (expanded string, replaced bool, faults []fault) {
	var out strings.Builder
	for {
		dollar := strings.Index(text, "${")
		if dollar < 0 {
			out.WriteString(text)
			return out.String(), replaced, faults
		}
		if dollar > 0 && text[dollar-1] == '$' {
			out.WriteString(text[:dollar-1] + "${")
			text = text[dollar+2:]
			continue
		}
		out.WriteString(text[:dollar])
		body, rest, closed := strings.Cut(text[dollar+2:], "}")
		if !closed {
			return out.String(), true, append(faults, fault{"${ without a }", "write $${ where a literal ${ is meant"})
		}
		value, f := x.lookup(body)
		if f != nil {
			faults = append(faults, *f)
		}
		out.WriteString(value)
		replaced = true
		text = rest
	}
}

// lookup gives the value of what stands between ${ and }.
func (x *expansion) lookup(body string) (string, *fault) {
	name, fallback, optional := strings.Cut(body, ":")
	if !variableName.MatchString(name) {
		return "", &fault{"${" + clip(name) + "} is not a variable",
			"names are letters, digits, _ . and -; write $${ where a literal ${ is meant"}
	}
	if strings.Contains(fallback, "{") {
		return "", &fault{"the default of ${" + name + ":…} has a brace in it",
			"a default ends at the first }; give the variable its value from outside instead"}
	}
	x.seen[name] = true
	if strings.HasPrefix(name, runPrefix) {
		value, ok := x.Run[name]
		switch {
		case ok:
			return value, nil
		case !slices.Contains(runNames, name):
			return "", &fault{"there is no ${" + name + "}", didYouMean(name, runNames, "${", "}")}
		case !optional:
			return "", &fault{"${" + name + "} has no value here", "give it a default: ${" + name + ":…}"}
		}
		return fallback, nil
	}
	if value, ok := x.Flags[name]; ok {
		return value, nil
	}
	if x.Env != nil {
		if value, ok := x.Env(name); ok {
			return value, nil
		}
	}
	if !optional {
		return "", &fault{"${" + name + "} has no value",
			"set it with -v " + name + "=… or in the environment, or give it a default: ${" + name + ":…}"}
	}
	return fallback, nil
}

// clip keeps a name that is none from flooding a message.
func clip(name string) string {
	if runes := []rune(name); len(runes) > 30 {
		return string(runes[:30]) + "…"
	}
	return name
}

// unusedVariables reports -v names that the file does not have.
func (p *parser) unusedVariables() {
	for _, name := range slices.Sorted(maps.Keys(p.vars.Flags)) {
		switch {
		case strings.HasPrefix(name, runPrefix):
			p.report(Position{}, "", "-v "+clip(name)+": names that begin with run. are set by rpipe alone", "")
		case !p.vars.seen[name]:
			p.report(Position{}, "", "-v "+clip(name)+": there is no ${"+clip(name)+"} in the file",
				didYouMean(name, slices.Sorted(maps.Keys(p.vars.seen)), "${", "}"))
		}
	}
}
