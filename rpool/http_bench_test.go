//go:build unix

package rpool

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// BenchmarkPlumberShareOfCPU is the share of the processor's time, of R's worker
// and of Go together, that is plumber's own: other programs disturb it less.
func BenchmarkPlumberShareOfCPU(b *testing.B) {
	p := realPool(b, Options{Max: 1})
	env := realEnvironment(`cpu <- function() cat(sum(proc.time()[1:2]))`)
	env.Handler = plumberHandler
	r := browser()
	for range 300 {
		mustDo(b, p, env, r)
	}
	profile := b.TempDir() + "/profile"
	worker := func() (seconds float64) {
		fmt.Sscan(mustDo(b, p, env, run("cpu()")).Output, &seconds)
		return seconds
	}
	mustDo(b, p, env, run(`Rprof("`+profile+`", interval = 0.002)`))
	b.ResetTimer()
	from, own := worker(), ownCPU()
	for b.Loop() {
		mustDo(b, p, env, r)
	}
	inR, inGo := worker()-from, ownCPU()-own
	var plumber float64
	fmt.Sscan(mustDo(b, p, env, run(`{
		Rprof(NULL)
		lines <- readLines("`+profile+`")[-1]
		cat(mean(grepl("pr$call", lines, fixed = TRUE)))
	}`)).Output, &plumber)
	n := float64(b.N)
	b.ReportMetric(100*plumber*inR/(inR+inGo), "%plumber")
	b.ReportMetric(plumber*inR/n*1e6, "plumber-us/op")
	b.ReportMetric((1-plumber)*inR/n*1e6, "worker-us/op")
	b.ReportMetric(inGo/n*1e6, "go-us/op")
}

// ownCPU is the processor's time that this process has used, in seconds.
func ownCPU() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// withHTTP adds the variables that stand for headers, as httpuv names them.
func withHTTP(vars, headers []Field) []Field {
	for _, h := range headers {
		vars = append(vars, Field{"HTTP_" + strings.ReplaceAll(strings.ToUpper(h.Name), "-", "_"), h.Value})
	}
	return vars
}

// BenchmarkInteractiveBesideBulk is the p99 of HTTP requests alone, and beside
// bulk that keeps all workers busy which it may have. The bar is 1.5 times.
func BenchmarkInteractiveBesideBulk(b *testing.B) {
	p := realPool(b, Options{Max: max(2, runtime.NumCPU()), Reserve: 1})
	api := realEnvironment()
	api.Handler, api.Min = plumberHandler, 1
	etl := realEnvironment(`crunch <- function(df) { x <- 0; for (i in 1:2e6) x <- x + i; df }`)
	bulk := &Request{Kind: Map, Fun: "crunch", Data: item(b, dataFrame("x", 1))}
	if err := p.Warm(b.Context(), api, 1); err != nil {
		b.Fatal(err)
	}
	if _, err := p.Do(b.Context(), etl, Bulk, bulk); err != nil {
		b.Fatal(err)
	}
	r := browser()
	p99 := func(n int) time.Duration {
		for range 200 {
			mustDo(b, p, api, r)
		}
		times := make([]time.Duration, n)
		for i := range times {
			start := time.Now()
			mustDo(b, p, api, r)
			times[i] = time.Since(start)
		}
		slices.Sort(times)
		return times[n*99/100]
	}
	var alone, beside time.Duration
	for b.Loop() {
		alone += p99(1000)
		ctx, cancel := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		for range 2 * runtime.NumCPU() {
			wg.Go(func() {
				for ctx.Err() == nil {
					p.Do(ctx, etl, Bulk, bulk)
				}
			})
		}
		beside += p99(1000)
		cancel()
		wg.Wait()
	}
	b.ReportMetric(alone.Seconds()*1e3/float64(b.N), "alone-p99-ms")
	b.ReportMetric(beside.Seconds()*1e3/float64(b.N), "beside-p99-ms")
	b.ReportMetric(beside.Seconds()/alone.Seconds(), "times")
}
