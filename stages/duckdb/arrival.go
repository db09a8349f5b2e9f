//go:build cgo

package duckdb

import "strings"

// ofArrival are the aggregate functions whose result depends on the order of the
// rows.
var ofArrival = map[string]bool{
	"first": true, "last": true, "arbitrary": true, "any_value": true,
	"list": true, "array_agg": true, "string_agg": true, "group_concat": true, "listagg": true,
}

// call is a pair of parentheses that is open.
type call struct {
	ordered bool // it is a function of ofArrival's
	tokens  int  // directly inside
	settled bool // it says ORDER BY or DISTINCT itself
}

// arrivals are the places in an expression at which " ORDER BY …" makes such a
// function go by an order: before the parenthesis that ends its arguments. One
// that has an order, or that takes DISTINCT values, is left alone, and so is one
// that is a window function.
func arrivals(expr string) (at []int) {
	if mayReorder.MatchString(expr) {
		return nil // a subquery has rows of its own
	}
	var open []call
	word := "" // the last token, if it was one
	for i := 0; i < len(expr); {
		kind, end := token(expr, i)
		text := expr[i:end]
		if kind == 's' {
			i = end
			continue
		}
		if n := len(open); n > 0 && text != ")" {
			c := &open[n-1]
			lower := strings.ToLower(text)
			c.settled = c.settled || lower == "order" || lower == "ignore" || lower == "respect" || c.tokens == 0 && lower == "distinct"
			c.tokens++
		}
		switch {
		case text == "(":
			open = append(open, call{ordered: ofArrival[strings.ToLower(word)]})
		case text == ")" && len(open) > 0:
			c := open[len(open)-1]
			open = open[:len(open)-1]
			if c.ordered && c.tokens > 0 && !c.settled && !strings.EqualFold(nextWord(expr, end), "over") {
				at = append(at, i)
			}
		}
		method := word == "." // x.first() is first(x), whose arguments are elsewhere
		word = ""
		if kind == 'w' && !method || text == "." {
			word = text
		}
		i = end
	}
	return at
}

// nextWord is the word that follows, if it is one.
func nextWord(expr string, i int) string {
	for i < len(expr) {
		kind, end := token(expr, i)
		if kind != 's' {
			return expr[i:end]
		}
		i = end
	}
	return ""
}

// token finds the end of what begins at i: 's' is white space or a comment, 'w' a
// word or number, 'q' something in quotes, 'o' any other character.
func token(s string, i int) (kind byte, end int) {
	rest := s[i:]
	until := func(skip int, mark string) int {
		if n := strings.Index(rest[min(skip, len(rest)):], mark); n >= 0 {
			return i + skip + n + len(mark)
		}
		return len(s)
	}
	switch c := s[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return 's', i + 1
	case strings.HasPrefix(rest, "--"):
		return 's', until(2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return 's', until(2, "*/")
	case c == '\'' || c == '"': // a doubled quote ends one and begins the next
		return 'q', until(1, string(c))
	case c == '$':
		if n := strings.IndexByte(rest[1:], '$'); n >= 0 {
			return 'q', until(n+2, rest[:n+2])
		}
		return 'o', i + 1
	case wordByte(c):
		end = i + 1
		for end < len(s) && wordByte(s[end]) {
			end++
		}
		return 'w', end
	}
	return 'o', i + 1
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
