package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// Failure is an answer of 5xx, and those like it that followed.
type Failure struct {
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int       `json:"count"`
	ID      string    `json:"request_id"` // of the last
	API     string    `json:"api"`
	Method  string    `json:"method"`
	Path    string    `json:"path"` // of the last, without the query: that may hold secrets
	Route   string    `json:"route"`
	Status  int       `json:"status"`
	Reason  string    `json:"reason"` // "" where R itself answered so
	Message string    `json:"message"`
	Details string    `json:"details,omitempty"` // R's traceback, a dead worker's last lines, what R printed
	Worker  int       `json:"worker,omitempty"`
	Took    float64   `json:"took_seconds"`
}

func failureOf(x *exchange.Exchange, r *http.Request, status int, took time.Duration, now time.Time) Failure {
	f := Failure{
		First: now, Last: now, Count: 1,
		ID: x.ID, API: x.API, Method: cut(r.Method, 20), Path: cut(r.URL.Path, maxFailurePath), Route: x.Route,
		Status: status, Worker: x.Worker, Took: took.Seconds(),
	}
	out := strings.TrimSpace(x.Output)
	if x.Err != nil {
		f.Reason = fault.Of(x.Err).Reason
		f.Message, f.Details, _ = strings.Cut(fault.Details(x.Err), "\n")
		f.Details += "\n" + out
	} else if f.Message, f.Details, _ = strings.Cut(out, "\n"); out == "" { // plumber prints the error
		f.Message = "R answered so, and printed nothing"
	}
	f.Message = cut(f.Message, 1<<10)
	f.Details = cut(strings.Trim(f.Details, "\n"), maxFailureText)
	return f
}

// cut shortens text to n bytes, and makes it UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(text[max(0, len(text)-utf8.UTFMax):]); i++ {
			text = text[:len(text)-1]
		}
		text += "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// same reports whether two failures are one to a reader: a thousand requests that
// fail for one reason must not push out what else went wrong.
func (f *Failure) same(o *Failure) bool {
	return f.API == o.API && f.Route == o.Route && f.Method == o.Method && f.Status == o.Status &&
		f.Reason == o.Reason && (f.Message == o.Message || f.Reason == "worker_died" && f.Worker != o.Worker)
}

// failures are the most recent ones. The zero value remembers none.
type failures struct {
	most int
	list []Failure // the most recent last
}

func (fs *failures) add(f Failure) {
	if i := slices.IndexFunc(fs.list, func(o Failure) bool { return o.same(&f) }); i >= 0 {
		f.First, f.Count = fs.list[i].First, fs.list[i].Count+1
		fs.list = slices.Delete(fs.list, i, i+1)
	}
	if len(fs.list) >= fs.most {
		fs.list = slices.Delete(fs.list, 0, len(fs.list)-fs.most+1)
	}
	fs.list = append(fs.list, f)
}

// newest are all of them, the most recent first.
func (fs *failures) newest() []Failure {
	all := slices.Clone(fs.list)
	slices.Reverse(all)
	return all
}
