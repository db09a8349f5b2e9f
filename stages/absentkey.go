package stages

import (
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// AbsentKey says that a path ends too early in an answer, and what is there in
// place of its key: `there is no "nxt" in meta, did you mean "next"?`. It is ""
// where the path leads to a value or to null. meant is the text of the value that
// was most likely meant, nil for none.
func AbsentKey(path ndjson.Path, document []byte) (text string, meant []byte) {
	a := path.Absent(document)
	if a == nil {
		return "", nil
	}
	inside := "the answer"
	if a.Inside != "" {
		inside = a.Inside
	}
	keys, _ := ndjson.Keys(a.Of)
	if len(keys) == 0 {
		return fmt.Sprintf("there is no %q in %s, which is %s", a.Key, inside, kindOfJSON(a.Of)), nil
	}
	if near := nearKey(a.Key, keys); near != "" {
		meant, _ = ndjson.Key(near).Find(a.Of)
		return fmt.Sprintf("there is no %q in %s, did you mean %q? It has %s", a.Key, inside, near, firstOf(keys)), meant
	}
	return fmt.Sprintf("there is no %q in %s, which has %s", a.Key, inside, firstOf(keys)), nil
}

// nearKey is the key that was likely meant: one with a slip in it, or one of which
// the word is a part, has_more for more.
func nearKey(word string, keys []string) string {
	for _, k := range keys {
		if strings.HasPrefix(configs.DidYouMean(word, []string{k}), "did you mean") {
			return k
		}
	}
	fold := strings.NewReplacer("_", "", "-", "")
	short := fold.Replace(strings.ToLower(word))
	for _, k := range keys {
		long := fold.Replace(strings.ToLower(k))
		if min(len(short), len(long)) >= 3 && (strings.Contains(long, short) || strings.Contains(short, long)) {
			return k
		}
	}
	return ""
}

// firstOf names some keys.
func firstOf(keys []string) string {
	const most = 10
	if len(keys) > most {
		return strings.Join(keys[:most], ", ") + ", …"
	}
	return strings.Join(keys, ", ")
}
