package stages

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// A path of an answer that leads nowhere is not taken for an empty list or a
// missing value, where no answer has it.
func TestPathsOfAnswersThatLeadNowhere(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1" {
			io.WriteString(w, `{"data": {"items": [{"v": 1}, {"v": 2, "w": 3}]}, "odd": 1}`)
			return
		}
		io.WriteString(w, `{"data": {"items": []}}`)
	})
	f := func(response, wantErr, wantLog string, rows int) {
		t.Helper()
		var log strings.Builder
		env := (&Env{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))}).For("fetch")
		var ids []string
		for id := range 20 {
			ids = append(ids, fmt.Sprintf(`{"id": %d}`, id))
		}
		got := runFetch(t.Context(), t, fetchOf(t, "url: "+url+"/{id}\ninfer_rows: 10\nordered: true\nresponse: "+response), env, records(t, ids...))
		if (got.err == nil) != (wantErr == "") || got.err != nil && !strings.Contains(got.err.Error(), wantErr) {
			t.Errorf("%s: error %v, want %s", response, got.err, wantErr)
		}
		if (log.Len() == 0) != (wantLog == "") || !strings.Contains(strings.ReplaceAll(log.String(), `\"`, `"`), wantLog) {
			t.Errorf("%s: log %s, want %s", response, log.String(), wantLog)
		}
		if len(got.rows) != rows {
			t.Errorf("%s: %d rows, want %d", response, len(got.rows), rows)
		}
	}
	f("{each: data.items, columns: {v: v}}", "", "", 2)
	f("{each: data.items, columns: {v: v, w: w}}", "", "", 2) // one record has it
	f("{columns: {odd: odd}}", "", "", 20)
	f("{each: data.itemz}", `response.each, data.itemz, leads to nothing in any of the first 10 answers: there is no "itemz" in data, did you mean "items"?`, "", 0)
	f("{each: data.itemz, columns: {v: {type: double}}}", `did you mean "items"?`, "", 0)
	f("{each: rows}", `there is no "rows" in the answer, which has data`, "", 0)
	f("{each: data.items, columns: {v: vv}}", "", `response.columns.v, vv, leads to nothing in any of the first 10 answers, and the column is empty: there is no "vv" in the answer, did you mean "v"?`, 2)
	f("{columns: {v: {path: dat.items, type: json}}}", "", `there is no "dat" in the answer, did you mean "data"?`, 20)
}
