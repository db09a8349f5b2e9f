package configs

import "strings"

// DidYouMean is a hint at the nearest of some words, or at all of them where they
// are few, for rules that compare a text with names.
func DidYouMean(word string, among []string) string { return didYouMean(word, among, "", "") }

// didYouMean is a hint at the nearest of some words, or at all of them where
// they are few.
func didYouMean(word string, among []string, before, after string) string {
	if near := nearest(word, among); near != "" {
		return "did you mean " + before + near + after + "?"
	}
	if len(among) == 0 || len(among) > 20 {
		return ""
	}
	return "there is " + before + strings.Join(among, after+", "+before) + after
}

// nearest returns the word that the given one is most likely a slip of, or "".
func nearest(word string, among []string) string {
	best, distance := "", max(1, len(word)/3)+1
	for _, w := range among {
		if d := edits(fold(word), fold(w)); d < distance {
			best, distance = w, d
		}
	}
	for _, w := range among {
		if best == "" && shortens(word, w) {
			best = w
		}
	}
	return best
}

// shortens tells whether one word is the other cut short: function, fun.
func shortens(a, b string) bool {
	return min(len(a), len(b)) >= 3 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// fold makes words equal that differ in how they are joined: maxRows, max-rows.
func fold(word string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(word))
}

// edits counts the insertions, deletions, substitutions and swaps of
// neighbours that lead from a to b (optimal string alignment).
func edits(a, b string) int {
	two, one := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := one[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, one[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
