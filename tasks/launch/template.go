package launch

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed templates
var templates embed.FS

// Template is the script that comes with rpipe for a scheduler; "" where there is none.
func Template(scheduler string) string {
	b, err := templates.ReadFile("templates/" + scheduler + ".sh")
	if err != nil {
		return ""
	}
	return string(b)
}

// place is {{ name }} or {{ name | default }}, as clustermq's templates have it:
// ${name} is the shell's in a script.
var place = regexp.MustCompile(`\{\{\s*([A-Za-z_]+)\s*(?:\|([^}]*))?\}\}`)

// Fill puts values in the places of a template. The error names what has neither a
// value nor a default, and a template without {{ command }}, which would start nothing.
func Fill(template string, values map[string]string) (string, error) {
	var missing []string
	started := false
	script := place.ReplaceAllStringFunc(template, func(text string) string {
		m := place.FindStringSubmatch(text)
		started = started || m[1] == "command"
		if v, ok := values[m[1]]; ok {
			return v
		}
		if strings.Contains(text, "|") {
			return strings.TrimSpace(m[2])
		}
		missing = append(missing, m[1])
		return text
	})
	switch {
	case len(missing) > 0:
		return "", fmt.Errorf("launch: the template wants {{ %s }}, which has no value: give it with --set %s=…, or a default as in {{ %s | 1 }}; there are %s",
			missing[0], missing[0], missing[0], strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	case !started:
		return "", fmt.Errorf("launch: the template has no {{ command }}: it would start no worker")
	}
	return script, nil
}
