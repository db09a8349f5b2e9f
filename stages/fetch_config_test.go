package stages

import (
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

func TestWhatAFetchCannotBe(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, problems := decodeFetch(yaml)
		if text := problems.Errors().Error(); len(problems.Errors()) != 1 || !strings.Contains(text, want) {
			t.Errorf("%s:\n%s\nwant %s", yaml, text, want)
		}
	}
	f("in_flight: 3", "url: is required")
	f("url: x/{id}", "url: does not begin with http:// or https://")
	f("url: https:///x", "url: has no host")
	f("url: https://me:pw@x/", "url: has credentials in it; say auth")
	f("url: 'https://x/{id'", "url: a { without its }")
	f("url: https://x/\nbody: {a: 1}", "body: a GET has no body")
	f("url: https://x/\nmethod: POST\nbody: {a: {b: {id: }}}", `body: a.b is the mapping {id: null} to YAML`)
	f("url: https://x/\nmethod: POST\nbody: 5", "body: must be a mapping, a list or a text")
	f("url: https://x/\nmethod: POST\nbody: '{{\"a\": }}'", "body: is not JSON once values stand in it")
	f("url: https://x/\nparams: {a: '{b'}", "params.a: a { without its }")
	f("url: https://x/\nheaders: {a: '{}'}", "headers.a: {} names nothing")
	f("url: https://x/\nidempotency_key: '{'", "idempotency_key: a { without")
	f("url: https://x/\naccept: [ok]", "accept: ok is neither a status")
	f("url: https://x/\nresponse: {columns: {a: 'b['}}", "response.columns.a: \"b[\" is no path into JSON: a bracket is not closed")
	f("url: https://x/\nresponse: {columns: {a: {type: decimal}}}", "response.columns.a.type: unknown type")
	f("url: https://x/\nresponse: {each: 'a..b'}", "response.each:")
	f("url: https://x/\nresponse: {format: text, each: a}", "response.each: needs format: json")
	f("url: https://x/\nresponse: {format: text, columns: {a: b}}", "response.columns: needs format: json")
	f("url: https://x/\nresponse: {prefix: p, columns: {a: b}}", "response.prefix: is for names that are keys of the answer")
	f("url: https://x/\nrequests: [{name: a, url: https://x/}]", "requests: stands beside url")
	f("when: a\nrequests: [{name: a, url: https://x/}]", "requests: stands beside what belongs to one request")
	f("requests: [{name: a-b, url: https://x/}]", `requests[0].name: "a-b" is no name`)
	f("requests: [{name: a, url: https://x/}, {name: a, url: https://x/}]", "requests[1].name: another request has this name")
	f("requests: [{name: a}]", "requests[0].url: is required")
	f("requests: [{url: https://x/}]", "requests[0].name: is required")
	f("requests: [{name: a, url: 'https://x/{b.id}'}, {name: b, url: https://x/}]", "requests[0].url: {b.id}: the request b does not come before this one")
	f("requests: [{name: a, url: https://x/}, {name: b, url: 'https://x/{a[}'}]", "requests[1].url: {a[}: \"[\" is no path")
	f("requests: [{name: a, url: https://x/, response: {each: x}}, {name: b, url: https://x/, response: {each: y}}]", "more than one has response.each")
}

func TestWhatIsLikelyWrongWithAFetch(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, problems := decodeFetch(yaml)
		text := problems.Error()
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !problems[0].Warning || !strings.Contains(text, want)) {
			t.Errorf("%s:\n%s\nwant %s", yaml, text, want)
		}
	}
	f("url: https://x/\nmethod: PUT\nbody: {a: b}", "")
	f("url: https://x/\nmethod: POST", "method: a POST is sent once by each try of the run, but may be sent again by a run that is resumed")
	f("url: https://x/\nmethod: POST\nidempotent: true", "")
	f("url: https://x/\nmethod: POST\nidempotency_key: '{id}'", "")
	f("requests: [{name: a, url: https://x/}, {name: b, url: https://x/, method: PATCH}]", "requests[1].method: a PATCH is sent once")
	f("url: '{url}'", "")
	f("url: '{url}'\nauth: {bearer: x}", "url: its host comes from the rows, and auth is sent to it")
	f("url: https://x/\nrate: {limit: 10/s, burst: 100}", "rate.burst: is more than in_flight, 16")
	f("url: https://x/\nrate: 10/m", "in_flight: 16 requests wait for their turn at 10/m, the last one for 1m36s")
	f("url: https://x/\nrate: 10/m\nin_flight: 1", "")
	f("requests: [{name: a, url: https://x/, headers: {X-Token: x}}]", "requests[0].headers.X-Token: looks like a credential")
}

func TestThePlanOfAFetch(t *testing.T) {
	in := records(t, `{"id": 1, "a.b": true}`).Schema()
	f := func(yaml, want string) {
		t.Helper()
		out, err := fetchOf(t, yaml).Plan(in)
		text := "unknown"
		if out != nil {
			text = strings.Join(strings.Fields(frame.FormatSchema(out)), " ")
		}
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %s", yaml, text, want)
		}
	}
	f("url: 'https://x/{id}'", "unknown")
	f("url: 'https://x/{idd}'", `url: there is no column "idd", did you mean "id"?`)
	f("url: 'https://x/{a.b}'\nwhen: a.b\nresponse: {columns: {v: {type: double}, w: {path: x, type: factor}}, status: s, body: raw, headers: {e: ETag}}",
		"id int64 a.b bool v double w factor raw string s int32 e string")
	f("url: https://x/\nwhen: id", `when: column "id" is int64, and must be bool`)
	f("url: https://x/\nresponse: {columns: {id: {type: double}}}", `column "id" of the answer: the input has one of this name`)
	f("requests: [{name: one, url: https://x/, response: {format: text}}, {name: two, url: 'https://x/{one}/{nope}', response: {format: text, body: b}}]", `two: url: there is no column "nope"`)
	f("requests: [{name: one, url: https://x/, response: {format: text}}, {name: two, url: 'https://x/{one.id}', response: {format: text, body: b}}]", "id int64 a.b bool body string b string")
	f("requests: [{name: one, url: https://x/, response: {format: text}}, {name: two, url: 'https://x/', response: {format: text}}]", `column "body" of the answer: another answer`)

	if out, err := fetchOf(t, "url: 'https://x/{idd}'").Plan(nil); out != nil || err != nil {
		t.Errorf("of an unknown input: %v, %v", out, err)
	}
}
