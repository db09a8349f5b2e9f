package sources

import "strings"

// headerLink finds the target of a relation in Link headers (RFC 8288, section
// 3): <https://x/y?page=2>; rel="next", <…>; rel=last. "" is none.
func headerLink(headers []string, rel string) string {
	for _, rest := range headers {
		for {
			_, after, ok := strings.Cut(rest, "<")
			if !ok {
				break
			}
			target, after, ok := strings.Cut(after, ">")
			if !ok {
				break
			}
			var found bool
			found, rest = hasRelation(after, rel)
			if found {
				return strings.TrimSpace(target)
			}
		}
	}
	return ""
}

// hasRelation reads the parameters of one link, up to the comma behind them.
func hasRelation(params, rel string) (found bool, rest string) {
	seen := false
	for {
		params = strings.TrimLeft(params, " \t")
		if params == "" || params[0] != ';' {
			return found, params
		}
		end := strings.IndexAny(params[1:], "=;,")
		if end < 0 {
			return found, ""
		}
		name := strings.TrimSpace(params[1 : 1+end])
		params = params[1+end:]
		if params[0] != '=' {
			continue
		}
		var value string
		value, params = parameterValue(strings.TrimLeft(params[1:], " \t"))
		if strings.EqualFold(name, "rel") && !seen { // only the first counts
			seen = true
			for _, r := range strings.Fields(value) {
				found = found || strings.EqualFold(r, rel)
			}
		}
	}
}

// parameterValue reads a token or a quoted text.
func parameterValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";,")
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
