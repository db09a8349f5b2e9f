package index

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// words cuts a text into words, as they are indexed and searched: letters and digits, in
// lower case.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
}

// textOfJob is what is searched of a job.
func textOfJob(name string, labels map[string]string) string {
	all := words(name)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		all = append(append(all, words(k)...), words(labels[k])...)
	}
	return strings.Join(all, " ")
}

func textOfMessage(message string) string { return strings.Join(words(message), " ") }

// matches reports whether each of all is the beginning of a word in a text of words.
func matches(text string, all []string) bool {
	for _, w := range all {
		if !strings.HasPrefix(text, w) && !strings.Contains(text, " "+w) {
			return false
		}
	}
	return true
}

// expanded is how many words of a vocabulary a beginning may stand for, to be searched
// one by one, which gives the first hits at once.
const expanded = 200

// match is the query for words of which all must be the beginning of one in the text;
// "" where one is the beginning of none.
func (r *reader) match(vocabulary string, all []string) (string, error) {
	var q []string
	for _, w := range all {
		var found []string
		err := r.each("SELECT term FROM "+vocabulary+" WHERE term >= ? AND term < ? LIMIT ?", []any{w, w + "\U0010FFFF", expanded + 1}, func(scan scanner) error {
			var term string
			if err := scan(&term); err != nil {
				return err
			}
			found = append(found, `"`+term+`"`)
			return nil
		})
		switch {
		case err != nil:
			return "", err
		case len(found) == 0:
			return "", nil
		case len(found) > expanded:
			q = append(q, `"`+w+`"*`)
		default:
			q = append(q, "("+strings.Join(found, " OR ")+")")
		}
	}
	return strings.Join(q, " AND "), nil
}
