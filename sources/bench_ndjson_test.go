//go:build unix

package sources

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

func BenchmarkNDJSON(b *testing.B) {
	var text bytes.Buffer
	for _, r := range benchData() {
		val, lang := "null", "null"
		if r.Val != nil {
			val = fmt.Sprint(*r.Val)
		}
		if r.Lang != nil {
			lang = `"` + *r.Lang + `"`
		}
		fmt.Fprintf(&text, `{"id":%d,"val":%s,"ok":%t,"lang":%s,"user":"%s","ts":"%s"}`+"\n",
			r.ID, val, r.OK, lang, r.User, time.UnixMicro(r.TS).UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
	env := files(b, "a.ndjson", text.String())
	benchmark(b, &NDJSON{Path: Paths{"a.ndjson"}, Types: map[string]string{"ts": "timestamp[UTC]"}}, env.Dir, "a.ndjson")
}
