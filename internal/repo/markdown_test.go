package repo

import (
	"path"
	"strings"
	"testing"
)

// block is a fenced block of a page. Its info string is a language and, behind
// it, what TestPages does with it:
//
//	```sh run          runs it in the page's scratch directory; exit=4 is the status it must end with
//	```yaml file=NAME  writes it there; for any language
//	```text output     lines that the last run printed, in their order; a line … stands for any
type block struct {
	page     string
	line     int // of its first line
	language string
	words    []string // of the info string, less the language
	text     string
}

func (b *block) has(word string) bool {
	for _, w := range b.words {
		if w == word {
			return true
		}
	}
	return false
}

// value is what stands behind name= in the info string.
func (b *block) value(name string) string {
	for _, w := range b.words {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			return v
		}
	}
	return ""
}

// pages are the Markdown files that users read.
func pages(t *testing.T) []string {
	return files(t, func(name string) bool { return path.Ext(name) == ".md" })
}

// blocks are the fenced blocks of a page.
func blocks(t *testing.T, page string) []*block {
	t.Helper()
	var all []*block
	var open *block
	for i, line := range strings.Split(read(t, page), "\n") {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			words := strings.Fields(info)
			if len(words) == 0 {
				t.Errorf("%s:%d: a block without a language", page, i+1)
				words = []string{"text"}
			}
			open = &block{page: page, line: i + 2, language: words[0], words: words[1:]}
		case fence:
			all = append(all, open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: a block that does not end", page, open.line)
	}
	return all
}

// prose is a page less its blocks.
func prose(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
		} else if !inside {
			b.WriteString(line)
		}
	}
	return b.String()
}
