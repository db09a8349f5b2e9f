//go:build unix

package predict

import (
	"net/http"
	"strings"
	"testing"
)

// Rows go out in the form that they came in.
func TestAnswersHaveTheFormOfTheirRequest(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun = "twice"
		e.Schema = columns("speed", "double")
		e.Returns = columns("dist", "double")
	})
	f := func(body, want string, headers ...string) {
		t.Helper()
		w := post(t, p, body, headers...)
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s:\n%d %s\nwant\n200 %s", body, w.Code, w.Body, want)
		}
	}
	const a, b = "20", "31"
	f(`[{"speed": 10}, {"speed": 15.5}]`, `[{"dist":`+a+`},{"dist":`+b+`}]`+"\n")
	f(`{"speed": 10}`, `{"dist":`+a+"}\n")
	f(`{"rows": [{"speed": 10}]}`, `{"rows":[{"dist":`+a+"}]}\n")
	f(`{"instances": [{"speed": 10}, {"speed": 15.5}]}`, `{"predictions":[`+a+","+b+"]}\n")
	f(`{"columns": {"speed": [10, 15.5]}}`, `{"columns":{"dist":[`+a+","+b+"]}}\n")
	f(`{"speed": [10, 15.5]}`, `{"columns":{"dist":[`+a+","+b+"]}}\n")
	f(`[]`, "[]\n")
	f("speed\n10\n15.5\n", "dist\n"+a+"\n"+b+"\n", "Content-Type: text/csv")
	f("{\"speed\": 10}\n\n{\"speed\": 15.5}\n", `{"dist":`+a+"}\n"+`{"dist":`+b+"}\n", "Content-Type: application/x-ndjson")
	f("speed\n10\n", `[{"dist":`+a+"}]\n", "Content-Type: text/csv", "Accept: application/json")
	f(`[{"speed": null}]`, `[{"dist":null}]`+"\n")
}

// What is wrong with a row is said of that row, and the others have their results.
func TestARowThatIsNotAsTheSchemaSaysHasItsOwnError(t *testing.T) {
	yes, no := true, false
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun = "echo"
		e.Schema = columns("x", "double", "carrier", "factor", "note", "string", "day", "date")
		e.Rules = map[string]Rule{
			"x":       {Nullable: &no, Min: ptr(0.0), Max: ptr(100.0)},
			"carrier": {Enum: []string{"AA", "UA"}},
			"note":    {Required: &no},
			"day":     {Required: &yes},
		}
	})
	f := func(row, want string) {
		t.Helper()
		good := `{"x": 1, "carrier": "AA", "day": "2024-02-29"}`
		w := post(t, p, "["+good+","+row+","+good+"]")
		echoed := `{"x":1,"carrier":"AA","note":null,"day":"2024-02-29"}`
		if got := w.Body.String(); w.Code != 200 || got != "["+echoed+`,{"error":{"index":1,"reason":"invalid","message":`+want+"}},"+echoed+"]\n" {
			t.Errorf("%s:\n%d %s\nwant\n%s", row, w.Code, got, want)
		}
		if n := w.Header().Get("Rpipe-Failed-Rows"); n != "1" {
			t.Errorf("%s: Rpipe-Failed-Rows: %q", row, n)
		}
	}
	f(`{"x": "far", "carrier": "AA", "day": "2024-02-29"}`, `"x: \"far\" is not double","columns":{"x":"\"far\" is not double"}`)
	f(`{"x": -1, "carrier": "BB", "day": "2024-02-29"}`,
		`"x: -1 is less than 0; carrier: \"BB\" is none of \"AA\", \"UA\"","columns":{"x":"-1 is less than 0","carrier":"\"BB\" is none of \"AA\", \"UA\""}`)
	f(`{"x": 101, "carrier": null, "day": null}`, `"x: 101 is more than 100","columns":{"x":"101 is more than 100"}`)
	f(`{"x": null, "carrier": "AA", "day": "2024-02-29"}`, `"x: is null, and may not be","columns":{"x":"is null, and may not be"}`)
	f(`{"x": "NaN", "carrier": "AA", "day": "2024-02-29"}`, `"x: NaN is less than 0","columns":{"x":"NaN is less than 0"}`)
	f(`{"carrier": 3, "day": "2024-02-30"}`,
		`"x: is missing; carrier: 3 is not factor; day: \"2024-02-30\" is not date","columns":{"x":"is missing","carrier":"3 is not factor","day":"\"2024-02-30\" is not date"}`)
	f(`{"x": 1, "x": 2, "carrier": "AA", "day": "2024-02-29"}`, `"column \"x\" comes twice"`)
	f(`[1, "AA"]`, `"is an array, where a row was expected, such as {…}"`)

	w := post(t, p, `[{"x": "far"}]`)
	if w.Code != 422 || !strings.HasPrefix(w.Body.String(), `[{"error":{"index":0,"reason":"invalid"`) {
		t.Errorf("nothing but bad rows: %d %s", w.Code, w.Body)
	}
	w = post(t, p, "x,carrier,note,day\n1,AA,,2024-02-29\n-1,AA,,2024-02-29\n1,AA\n", "Content-Type: text/csv")
	if got := w.Body.String(); w.Code != 200 || got != "x,carrier,note,day,.error\n1,AA,NA,2024-02-29,NA\nNA,NA,NA,NA,invalid: x: -1 is less than 0\nNA,NA,NA,NA,\"invalid: has 2 fields, and the header names 4\"\n" {
		t.Errorf("CSV: %d %s", w.Code, got)
	}
	w = post(t, p, `{"x": [1, -1], "carrier": ["AA", "AA"], "day": ["2024-02-29", "2024-02-29"]}`)
	if got := w.Body.String(); w.Code != 200 || got != `{"columns":{"x":[1,null],"carrier":["AA",null],"note":[null,null],"day":["2024-02-29",null]},"errors":[{"index":1,"reason":"invalid","message":"x: -1 is less than 0","columns":{"x":"-1 is less than 0"}}]}`+"\n" {
		t.Errorf("columns: %d %s", w.Code, got)
	}
}

func ptr[T any](v T) *T { return &v }

// The row at fault is found among those that went to R together.
func TestARowThatFailsInRHasItsOwnError(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun, e.Schema = "bad_is_bad", columns("x", "double") })
	w := post(t, p, `[{"x": 1}, {"x": 2}, {"x": -3}, {"x": 4}, {"x": 5}]`)
	want := `[{"y":2},{"y":4},{"error":{"index":2,"reason":"r_error","message":"x is negative: -3"}},{"y":8},{"y":10}]` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = post(t, p, `[{"x": -3}]`)
	if w.Code != 500 || w.Body.String() != `[{"error":{"index":0,"reason":"r_error","message":"x is negative: -3"}}]`+"\n" {
		t.Errorf("alone: %d %s", w.Code, w.Body)
	}
}

func TestOnErrorFailGivesTheErrorsAlone(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun, e.Schema, e.OnError, e.Messages = "bad_is_bad", columns("x", "double"), "fail", false
	})
	w := post(t, p, `[{"x": 1}, {"x": "y"}]`)
	if w.Code != 422 || w.Body.String() != `{"error":"rows_failed","message":"1 of 2 rows failed","errors":[{"index":1,"reason":"invalid","message":"x: \"y\" is not double","columns":{"x":"\"y\" is not double"}}]}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = post(t, p, `[{"x": 1}, {"x": -1}]`)
	if w.Code != 500 || w.Body.String() != `{"error":"rows_failed","message":"1 of 2 rows failed","errors":[{"index":1,"reason":"r_error","message":"an R error"}]}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = post(t, p, `[{"x": 1}]`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
