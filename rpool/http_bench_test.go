//go:build unix

package rpool

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// plumberHandler answers /hello by plumber, without a server.
const plumberHandler = `local({
	pr <- plumber::pr()
	pr <- plumber::pr_get(pr, "/hello", function() list(msg = "hi"))
	function(req) pr$call(req)
})`

// browser is a request as a browser sends it, with what a front adds.
func browser() *Request {
	headers := []Field{
		{"accept", "application/json,text/plain;q=0.9,*/*;q=0.8"}, {"accept-encoding", "gzip, deflate, br"},
		{"accept-language", "en-GB,en;q=0.5"}, {"cookie", "session=0123456789abcdef"}, {"host", "api.example.org"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		{"x-forwarded-for", "203.0.113.7"}, {"x-forwarded-proto", "https"}, {"x-request-id", "01JD8X3Z5W3M9Q7K2V4T6Y8B0C"},
	}
	vars := []Field{
		{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/hello"}, {"QUERY_STRING", "?a=1"}, {"SCRIPT_NAME", ""},
		{"SERVER_NAME", "api.example.org"}, {"SERVER_PORT", "443"}, {"REMOTE_ADDR", "203.0.113.7"}, {"REMOTE_PORT", "50000"},
		{"rook.url_scheme", "https"},
	}
	return &Request{Kind: HTTP, HTTP: &HTTPRequest{Vars: withHTTP(vars, headers), Headers: headers}}
}

// BenchmarkHTTP is one request through the pool to one worker: with a handler
// that does nothing, which is what the pool itself takes, and with plumber.
func BenchmarkHTTP(b *testing.B) {
	run := func(b *testing.B, handler string) {
		p := realPool(b, Options{Max: 1})
		env := realEnvironment()
		env.Handler = handler
		r := browser()
		for range 200 { // R compiles a function at its third use
			mustDo(b, p, env, r)
		}
		b.ResetTimer()
		for b.Loop() {
			mustDo(b, p, env, r)
		}
	}
	b.Run("trivial", func(b *testing.B) {
		run(b, `function(req) list(status = 200L, headers = list("Content-Type" = "text/plain"), body = "hi")`)
	})
	b.Run("plumber", func(b *testing.B) { run(b, plumberHandler) })
}

// BenchmarkPlumberShare says which share of the time of a request to a plumber
// API is plumber's own pr$call(), which times itself.
func BenchmarkPlumberShare(b *testing.B) {
	p := realPool(b, Options{Max: 1})
	env := realEnvironment(`spent <- 0; calls <- 0`)
	env.Handler = `local({
		call <- ` + plumberHandler + `
		function(req) {
			from <- Sys.time()
			answer <- call(req)
			spent <<- spent + (unclass(Sys.time()) - unclass(from))
			calls <<- calls + 1
			answer
		}
	})`
	r := browser()
	for range 200 {
		mustDo(b, p, env, r)
	}
	mustDo(b, p, env, run("spent <<- 0; calls <<- 0"))
	b.ResetTimer()
	start := time.Now()
	for b.Loop() {
		mustDo(b, p, env, r)
	}
	wall := time.Since(start).Seconds()
	var spent float64
	fmt.Sscan(mustDo(b, p, env, run("cat(spent)")).Output, &spent)
	b.ReportMetric(100*spent/wall, "%plumber")
	b.ReportMetric(1e6*(wall-spent)/float64(b.N), "ours-us/op")
}

// withHTTP adds the variables that stand for headers, as httpuv names them.
func withHTTP(vars, headers []Field) []Field {
	for _, h := range headers {
		vars = append(vars, Field{"HTTP_" + strings.ReplaceAll(strings.ToUpper(h.Name), "-", "_"), h.Value})
	}
	return vars
}
