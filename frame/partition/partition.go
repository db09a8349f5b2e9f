// Package partition is the layout of a partitioned output, which sinks write and
// sources read: directories called column=value, as Hive, Spark, DuckDB and
// Arrow have them, and the name of the manifest beside them.
//
// What a path, a shell or a URI could take amiss in a name or a value is written
// as percent and two hexadecimal digits. A missing value has a word of its own.
package partition

import (
	"fmt"
	"strconv"
	"strings"
)

// Null is what Hive and all who follow it write for a missing value.
const Null = "__HIVE_DEFAULT_PARTITION__"

// Manifest is the file in the output's directory that lists files and columns.
const Manifest = "_manifest.json"

// Dir is the name of the directory of a column's value.
func Dir(column, value string) string {
	if value == Null { // the text itself, not a missing value
		return Escape(column) + "=%5F" + value[1:]
	}
	return Escape(column) + "=" + Escape(value)
}

// NullDir is the name of the directory of a column's missing value.
func NullDir(column string) string { return Escape(column) + "=" + Null }

// Parse reads the columns and values of the directories of a slash-separated
// path, whose last segment is a file. Directories without = say nothing. A nil
// value is a missing one.
func Parse(path string) (columns []string, values [][]byte) {
	segments := strings.Split(path, "/")
	for _, s := range segments[:len(segments)-1] {
		column, value, ok := strings.Cut(s, "=")
		if !ok || column == "" {
			continue
		}
		columns = append(columns, unescape(column))
		if value == Null {
			values = append(values, nil)
		} else {
			values = append(values, []byte(unescape(value)))
		}
	}
	return columns, values
}

// Escape makes s fit for the name of a directory.
func Escape(s string) string {
	if !strings.ContainsFunc(s, special) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x80 && special(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// special reports whether a character is escaped: Hive's list.
func special(r rune) bool {
	return r < 0x20 || r == 0x7f || strings.ContainsRune("\"#%'*/:=?\\{}[]^<>|", r)
}

// unescape reads percent and two hexadecimal digits as a byte. Another percent
// stands for itself: not all who write such directories escape.
func unescape(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 || i+3 > len(s) {
			return b.String() + s
		}
		b.WriteString(s[:i])
		if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
			b.WriteByte(byte(c))
			s = s[i+3:]
		} else {
			b.WriteByte('%')
			s = s[i+1:]
		}
	}
}
