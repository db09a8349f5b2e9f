//go:build unix

package rpool

import (
	"runtime"
	"strings"
)

// surroundings are the variables that every R gets before those of its
// environment: text crosses as UTF-8, so R must not run in another character
// set, as cron's C locale has it; and code must not see other times on another
// machine, so R's clock is in UTC.
func surroundings(environ []string) []string {
	vars := []string{"TZ=UTC"}
	if utf8Locale(environ) {
		return vars
	}
	name := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		name = "UTF-8" // there, a character set without a country
	}
	// LC_ALL would win over LC_CTYPE; empty, it leaves the other categories alone.
	return append(vars, "LC_ALL=", "LC_CTYPE="+name)
}

// utf8Locale reports whether the character set is UTF-8. The first of LC_ALL,
// LC_CTYPE and LANG that is not empty decides.
func utf8Locale(environ []string) bool {
	value := map[string]string{}
	for _, v := range environ {
		if name, text, ok := strings.Cut(v, "="); ok {
			value[name] = text // the last one counts
		}
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(value[name]); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
