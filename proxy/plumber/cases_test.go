//go:build unix

package plumber

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func gets(targets ...string) []call {
	var calls []call
	for _, t := range targets {
		calls = append(calls, call{method: "GET", target: t})
	}
	return calls
}

func each(target string, methods ...string) []call {
	var calls []call
	for _, m := range methods {
		calls = append(calls, call{method: m, target: target})
	}
	return calls
}

func with(method, target, body string, headers ...string) call {
	return call{method: method, target: target, body: body, headers: headers}
}

func post(target, kind, body string) call {
	return with("POST", target, body, "Content-Type: "+kind)
}

const (
	isJSON  = "application/json"
	isForm  = "application/x-www-form-urlencoded"
	isMulti = "multipart/form-data; boundary=XX"
)

// parts is a multipart body.
func parts(list ...string) string {
	return "--XX\r\n" + strings.Join(list, "\r\n--XX\r\n") + "\r\n--XX--\r\n"
}

// ownAPIs are those of testdata.
func ownAPIs() []compared {
	return []compared{
		{"everything", "testdata/everything/plumber.R", everything()},
		{"files", "testdata/files/plumber.R", files()},
		{"script", "testdata/script/run.R", append(
			gets("/one", "/both", "/more", "/unboxed", "/none", "/stop", "/sum", "/openapi.json", "/__docs__/", "/__swagger__/"),
			post("/sum", isForm, "a=1&b=2"), post("/sum?a=4", isJSON, `{"b":3}`),
			call{method: "PUT", target: "/both"}, call{method: "DELETE", target: "/both"},
		)},
		{"entry", "testdata/entry", []call{
			with("GET", "/", "", "Plumber-Shared-Secret: open"),
			with("GET", "/", "", "Plumber-Shared-Secret: wrong"),
			with("GET", "/", ""),
			with("GET", "/slash?x=1", "", "Plumber-Shared-Secret: open"),
			with("GET", "/slash/", "", "Plumber-Shared-Secret: open"),
			with("GET", "/files/a.txt", "", "Plumber-Shared-Secret: open"),
			with("GET", "/files/a.txt", ""),
			with("GET", "/count", "", "Plumber-Shared-Secret: open"),
			with("GET", "/count", "", "Plumber-Shared-Secret: open", "Cookie: session=broken"),
			with("GET", "/openapi.json", "", "Plumber-Shared-Secret: open"),
			with("GET", "/__swagger__/", "", "Plumber-Shared-Secret: open"),
		}},
		{"async", "testdata/async", gets("/promise", "/chain", "/reject", "/throw", "/future", "/future/value",
			"/future/stop", "/both", "/png", "/sync", "/none")},
		{"limits", "testdata/limits", []call{
			post("/size", "application/octet-stream", strings.Repeat("x", 1000)),
			post("/size", "application/octet-stream", strings.Repeat("x", 1001)),
			with("POST", "/get", ""), with("GET", "/openapi.json", ""), with("GET", "/__docs__/", ""),
		}},
	}
}

func everything() []call {
	calls := gets(
		"/hello", "/hello?name=R", "/hello/again?name=a%20b+c", "/hello?name=%C3%A9%E2%82%AC", "/hello?name=a&name=b", "/hello/", "//hello", "/hello?",
		"/beside", "/typed/7/-1.5/TRUE/word", "/typed/7/.5/f/w%20x", "/typed/x/1/t/w", "/list/1,2,3", "/word/caf%C3%A9", "/word/a%2Fb", "/word/a+b",
		"/word/", "/regex/abc", "/regex/ABC", "/query?a=1&b=&c&d=%26%3D&=x&a=2", "/query", "/query?%E4%B8%AD=%E6%96%87", "/query?a[]=1&a[]=2",
		"/required", "/required?a=1", "/vector?n=1&n=2", "/vector", "/method", "/used", "/env?x=1",
		"/redirect", "/headers", "/response", "/nothing", "/invisible", "/na", "/noisy", "/stop", "/stop/400", "/stop/deep", "/stop/condition",
		"/body/two", "/body/number", "/body/list", "/body/latin1", "/header/vector", "/status-text", "/hook/breaks", "/cors",
		"/%C3%BCn%C3%AFcode", "/none", "/own/stop", "/own/deep/a%20b", "/own/none", "/own", "/broken/stop",
		"/openapi.json", "/__docs__/", "/__docs__/index.html", "/__docs__/none.js", "/__swagger__/", "/__swagger__/index.html",
		"/formats/json", "/formats/unboxed", "/formats/html", "/formats/text", "/formats/print", "/formats/cat", "/formats/format",
		"/formats/csv", "/formats/tsv", "/formats/rds", "/formats/yaml", "/formats/octet", "/formats/type", "/formats/png", "/formats/jpeg",
		"/formats/tiff", "/formats/bmp", "/formats/svg", "/formats/pdf", "/formats/widget", "/formats/geojson", "/formats/feather", "/formats/parquet",
		"/formats/xml", "/formats/attachment", "/formats/attachment/unnamed", "/formats/broken",
	)
	for _, code := range []string{"200", "201", "204", "299", "301", "304", "307", "400", "401", "404", "409", "418", "422", "429", "500", "503", "599"} {
		calls = append(calls, call{method: "GET", target: "/status/" + code})
	}
	calls = append(calls, each("/method", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")...)
	calls = append(calls, each("/used", "POST", "PUT", "DELETE", "HEAD", "OPTIONS")...)
	calls = append(calls, each("/hello", "HEAD", "OPTIONS", "POST", "DELETE")...)
	calls = append(calls, each("/formats/png", "HEAD", "POST")...)
	calls = append(calls, each("/none", "HEAD", "OPTIONS", "PUT")...)
	calls = append(calls, gets("/env")...)
	return append(calls,
		with("OPTIONS", "/cors", "", "Origin: https://a.example", "Access-Control-Request-Headers: X-A, X-B"),
		with("GET", "/hello", "", "X-Door: closed"),
		with("GET", "/beside", "", "X-Door: closed"),
		with("GET", "/hello", "", "X-Door: broken"),
		with("GET", "/env", "", "X-One: a", "x-one: b", "X-Two:  spaced", "User-Agent: test/1", "Accept: */*"),
		with("GET", "/env?q=%C3%A9", "", "X-One: \xc3\xa9", "Cookie: a=1; b=2"),
		with("POST", "/env", "line one\nline two", "Content-Type: text/plain; charset=UTF-8"),
		with("GET", "/cookies", ""),
		with("GET", "/cookies", "", "Cookie: s=1; t=a%20b; u=\"q\"; v"),
		with("GET", "/openapi.json", "", "Referer: http://example.test:8080/__docs__/"),
		with("GET", "/openapi.json", "", "Referer: https://front.example/api/__docs__/index.html?x=1"),
		post("/input", "text/plain", "abcdef\nsecond\n"),
		with("POST", "/input", ""),
		post("/bodies/default", isJSON, `{"x":[1,2,3],"y":{"z":"é"}}`),
		post("/bodies/default", isJSON, `{"x":`),
		post("/bodies/default", isJSON, ``),
		post("/bodies/default", isJSON, `[1,2,3]`),
		post("/bodies/default", isJSON, `"text"`),
		post("/bodies/default", isJSON, `null`),
		post("/bodies/default", isJSON+"; charset=utf-8", `{"x":"\u00e9"}`),
		post("/bodies/default", isForm, "x=1&y=a%20b+c&z=%C3%A9"),
		post("/bodies/default", "text/plain", "plain\ntext"),
		post("/bodies/default", "application/octet-stream", "\x00\x01\x02\xff"),
		post("/bodies/default", "application/unheard-of", "what"),
		with("POST", "/bodies/default", `{"x":1}`),
		with("POST", "/bodies/default", `x=1`),
		with("POST", "/bodies/default?x=query", ""),
		post("/bodies/default?x=query", isJSON, `{"x":"body"}`),
		post("/bodies/json", isJSON, `{"a":[[1,2],[3,4]],"b":[{"c":1},{"c":2}]}`),
		post("/bodies/json", "text/plain", `{"a":1}`),
		post("/bodies/json/lists", isJSON, `{"a":[1,2],"b":[{"c":1}]}`),
		post("/bodies/form", isForm, "a=1&b=2%203"),
		post("/bodies/form", isForm, "a=1"),
		post("/bodies/text", "text/plain; charset=latin1", "h\xe9llo"),
		post("/bodies/text", "text/plain", "héllo"),
		post("/bodies/csv", "text/csv", "a,b\n1,x\n2,\"y, z\"\n"),
		post("/bodies/tsv", "text/tab-separated-values", "a\tb\n1\tx\n"),
		post("/bodies/yaml", "application/x-yaml", "a: 1\nb: [x, y]\n"),
		post("/bodies/rds", "application/rds", rds),
		post("/bodies/rds", "application/rds", "not an rds"),
		post("/bodies/octet", "application/octet-stream", "\x00\x01\xff"),
		post("/bodies/multi", isMulti, parts(
			"Content-Disposition: form-data; name=\"f\"; filename=\"z.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\x01BIN\xff",
			"Content-Disposition: form-data; name=\"t\"; filename=\"naïve.txt\"\r\nContent-Type: text/plain\r\n\r\ntext",
			"Content-Disposition: form-data; name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
			"Content-Disposition: form-data; name=\"c\"; filename=\"c.csv\"\r\nContent-Type: text/csv\r\n\r\na,b\n1,2\n",
			"Content-Disposition: form-data; name=\"x\"\r\n\r\n5",
		)),
		post("/bodies/multi", isMulti, "--XX--\r\n"),
		post("/bodies/multi", "multipart/form-data", parts("Content-Disposition: form-data; name=\"x\"\r\n\r\n5")),
		post("/bodies/multi/args", isMulti, parts(
			"Content-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\nAAAA",
			"Content-Disposition: form-data; name=\"f\"; filename=\"b.bin\"\r\nContent-Type: application/octet-stream\r\n\r\nBB",
			"Content-Disposition: form-data; name=\"note\"\r\n\r\nhi",
		)),
		post("/bodies/length", "application/octet-stream", strings.Repeat("0123456789", 300_000)),
		with("PUT", "/bodies/echo", strings.Repeat("\x00\xffé\r\n", 20_000), "Content-Type: application/octet-stream"),
		call{method: "PUT", target: "/bodies/echo", body: "in a chunk", chunked: true, headers: []string{"Content-Type: application/octet-stream"}},
	)
}

// rds is saveRDS(list(a = 1L), compress = FALSE, version = 2).
const rds = "X\n\x00\x00\x00\x02\x00\x04\x02\x02\x00\x02\x03\x00\x00\x00\x02\x13\x00\x00\x00\x01\x00\x00\x00\x0d\x00\x00\x00\x01\x00\x00\x00\x01" +
	"\x00\x00\x04\x02\x00\x00\x00\x01\x00\x04\x00\x09\x00\x00\x00\x05names\x00\x00\x00\x10\x00\x00\x00\x01\x00\x04\x00\x09\x00\x00\x00\x01a\x00\x00\x00\xfe"

func files() []call {
	calls := gets(
		"/static/a.txt", "/static/", "/static", "/static/index.html", "/static/b.bin", "/static/UPPER.CSV", "/static/plain", "/static/empty.json",
		"/static/sub/", "/static/sub/index.html", "/static/sub", "/static/none", "/static/with%20space.txt", "/static/with+space.txt", "/static/%C3%BCmlaut.txt",
		"/static/..%2fsecret.txt", "/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/sub/../a.txt", "/static/leak.txt", "/static/link.txt",
		"/static/a.txt/", "/static/%00", "/static/a.txt?x=1", "/static//a.txt", "/static/computed", "/public/a.txt", "/public/",
		"/included", "/included/guessed", "/included/html", "/included/md", "/included/none", "/disk", "/disk/owned",
		"/__docs__/", "/__docs__/swagger-ui.css", "/__docs__/swagger-ui-bundle.js", "/openapi.json",
	)
	calls = append(calls, each("/static/a.txt", "HEAD", "POST", "PUT", "OPTIONS", "DELETE")...)
	calls = append(calls, each("/disk", "HEAD", "POST")...)
	return append(calls,
		with("GET", "/static/a.txt", "", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
		with("GET", "/static/a.txt", "", "Range: bytes=0-1"),
	)
}

// examples are the APIs that come with plumber and load here: 14-future needs the
// package coro.
func examples(t *testing.T) []compared {
	t.Helper()
	out, err := exec.Command("Rscript", "--vanilla", "-e", `cat(system.file("plumber", package = "plumber"))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string, calls ...call) compared {
		return compared{name: name, path: filepath.Join(string(out), name), calls: append(calls, gets("/openapi.json", "/none")...)}
	}
	get := func(target string) call { return call{method: "GET", target: target} }
	list := []compared{
		at("01-append", get("/tail"), post("/append", isForm, "val=3"), with("POST", "/append?val=4", ""), post("/append", isForm, "val=x"), get("/tail?n=3"), get("/tail?n=x"), get("/graph")),
		at("02-filters", get("/me"), get("/me?username=joe"), get("/me?username=kim"), get("/me?username=nobody"), get("/about"), get("/about?username=nobody")),
		at("03-github", get("/version"), post("/update", isJSON, "{}")),
		at("04-mean-sum", get("/mean?samples=x"), with("POST", "/sum?a=1&b=2", ""), post("/sum", isForm, "a=1&b=x"), post("/sum", isJSON, `{"a":2,"b":3}`)),
		at("05-static", get("/"), get("/static/a.html"), get("/static/b.txt"), get("/public/b.txt"), get("/static/")),
		at("06-sessions", get("/counter"), with("GET", "/counter", "", "Cookie: visitcounter=41"), get("/sessionCounter"), get("/public/iframe.html"), get("/public/js-cookie.js")),
		at("07-mailgun", get("/tail")),
		at("08-identity", get("/name")),
		at("09-content-type", get("/pdf"), get("/text"), get("/html"), get("/download-binary")),
		at("10-welcome", get("/"), call{method: "HEAD", target: "/"}),
		at("11-car-inventory", get("/car/"), get("/car/1"), get("/car/99"), get("/car/x"), post("/car/", isForm, "make=A&model=B&edition=C&year=2000&miles=1&price=2"),
			with("PUT", "/car/1", "make=A&model=B&edition=C&year=2001&miles=1&price=2", "Content-Type: "+isForm), call{method: "DELETE", target: "/car/2"}, call{method: "DELETE", target: "/car/99"}, get("/car/"), get("/__docs__/")),
		at("12-entrypoint", get("/counter")),
		at("13-promises", get("/sync"), get("/sync-bad")),
		at("15-openapi-spec", get("/sum?num=1&num=2"), get("/sum?num=1,2")),
		at("16-attachment", get("/name"), get("/no_name"), get("/inline")),
		at("17-arguments", with("POST", "/bad-practice/1/2?a=3", ""), with("POST", "/bad-practice/1/2?d=3", ""), post("/good-practice/3/4?a=1&b=2&d=10", isForm, "a=5&b=6")),
	}
	return list
}
