package webapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// config reads a configuration as a pipeline file has it.
func config(t testing.TB, yaml string) *Config {
	t.Helper()
	if yaml == "" {
		yaml = "{}"
	}
	doc, problems := configs.Parse("test.yaml", []byte(yaml), configs.Variables{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := new(Config)
	if problems := configs.Decode(doc, c); problems.Err() != nil {
		t.Fatal(problems)
	}
	return c
}

func client(t testing.TB, yaml string) *Client {
	t.Helper()
	c, err := New(config(t, yaml), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve answers the nth request (from 1) with f.
func serve(t testing.TB, f func(w http.ResponseWriter, r *http.Request, n int)) (url string, count *atomic.Int32) {
	t.Helper()
	count = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, int(count.Add(1))) }))
	t.Cleanup(s.Close)
	return s.URL, count
}

const fast = "retry: {initial: 1ms, max: 5ms}\n"

func get(t testing.TB, c Doer, url string) (*Response, error) {
	t.Helper()
	return c.Do(t.Context(), &Request{Method: "GET", URL: url})
}

func TestAnAnswerIsReadWhole(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("X-Of", r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Mine")+" "+r.UserAgent())
		body, _ := io.ReadAll(r.Body)
		w.Write(append([]byte("got "), body...))
	})
	c := client(t, "")
	resp, err := c.Do(t.Context(), &Request{Method: "POST", URL: url + "/a%2Fb?q=1", Body: []byte("x"), Header: http.Header{"X-Mine": {"y"}}})
	if err != nil {
		t.Fatal(err)
	}
	if string(resp.Body) != "got x" || resp.Status != 200 || resp.Tries != 1 || resp.Header.Get("X-Of") != "POST /a%2Fb?q=1 y rpipe" {
		t.Errorf("%+v %s", resp, resp.Body)
	}
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	f := func(what string, yaml string, most int, answer func(w http.ResponseWriter, n int)) {
		t.Helper()
		url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) { answer(w, n) })
		resp, err := get(t, client(t, yaml), url)
		if err != nil || string(resp.Body) != "good" || resp.Tries != most || int(count.Load()) != most {
			t.Errorf("%s: %v, %d requests", what, err, count.Load())
		}
	}
	fail := func(status int) func(w http.ResponseWriter, n int) {
		return func(w http.ResponseWriter, n int) {
			if n < 4 {
				w.WriteHeader(status)
			} else {
				io.WriteString(w, "good")
			}
		}
	}
	f("429", fast, 4, fail(429))
	f("500", fast, 4, fail(500))
	f("503", fast, 4, fail(503))
	f("404 where it is named", "retry: {initial: 1ms, max: 5ms, on: [404]}", 4, fail(404))
	f("a reset connection", fast, 3, func(w http.ResponseWriter, n int) {
		if n < 3 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "good")
	})
	f("an answer that breaks off", fast, 3, func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Length", "4")
		if n < 3 {
			io.WriteString(w, "go")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "good")
	})
	f("an answer that breaks off in a chunk", fast, 3, func(w http.ResponseWriter, n int) {
		io.WriteString(w, "go")
		http.NewResponseController(w).Flush()
		if n < 3 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "od")
	})
}

func TestErrorsSayWhatWhereAndHowOften(t *testing.T) {
	url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.WriteHeader(503)
		io.WriteString(w, "down for\n maintenance")
	})
	_, err := get(t, client(t, fast), url+"/x?api_key=hush&q=1")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Class != Temporary || e.Status != 503 || e.Tries != 5 || count.Load() != 5 {
		t.Errorf("%+v, %d requests", e, count.Load())
	}
	if want := "GET " + url + "/x?api_key=***&q=1: 503 Service Unavailable after 5 tries: down for maintenance"; err.Error() != want {
		t.Errorf("the error is %s\nwant %s", err, want)
	}
}

func TestClassesOfRefusals(t *testing.T) {
	f := func(status int, want Class) {
		t.Helper()
		url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) { w.WriteHeader(status) })
		_, err := get(t, client(t, fast), url)
		var e *Error
		if !errors.As(err, &e) || e.Class != want || e.Status != status || count.Load() != 1 {
			t.Errorf("%d: %v, %d requests", status, err, count.Load())
		}
	}
	f(400, Row)
	f(404, Row)
	f(410, Row)
	f(422, Row)
	f(401, Fatal)
	f(403, Fatal)
}

func TestAcceptMakesAnAnswerOfAnError(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) { w.WriteHeader(404) })
	resp, err := client(t, fast).Do(t.Context(), &Request{Method: "GET", URL: url, Accept: func(s int) bool { return s == 404 }})
	if err != nil || resp.Status != 404 {
		t.Error(resp, err)
	}
}

// TestWhatMayHaveBeenDoneIsNotDoneTwice: a POST is sent again only where it says
// that it may be, or where it cannot have arrived.
func TestWhatMayHaveBeenDoneIsNotDoneTwice(t *testing.T) {
	f := func(r Request, want int32) {
		t.Helper()
		var mu sync.Mutex
		var keys []string
		url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
			mu.Lock()
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			mu.Unlock()
			if n%2 == 1 {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Connection", "close") // net/http itself repeats what meets a connection that has just been closed
			w.WriteHeader(503)
		})
		r.URL = url
		r.Body = []byte("{}")
		_, err := client(t, "retry: {initial: 1ms, max: 2ms, max_attempts: 4}").Do(t.Context(), &r)
		if err == nil || count.Load() != want {
			t.Errorf("%s was sent %d times, want %d: %v", r.Method, count.Load(), want, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, k := range keys {
			if k != r.IdempotencyKey {
				t.Errorf("%s: idempotency key %q, want %q", r.Method, k, r.IdempotencyKey)
			}
		}
	}
	f(Request{Method: "POST"}, 1)
	f(Request{Method: "PATCH"}, 1)
	f(Request{Method: "PUT"}, 4)
	f(Request{Method: "DELETE"}, 4)
	f(Request{Method: "POST", Idempotent: true}, 4)
	f(Request{Method: "POST", IdempotencyKey: "order-7"}, 4)
}

func TestAPostThatCannotHaveArrivedIsSentAgain(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	s.Close() // nobody listens there now
	_, err := client(t, fast).Do(t.Context(), &Request{Method: "POST", URL: url})
	var e *Error
	if !errors.As(err, &e) || e.Tries != 5 || e.Class != Temporary || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

func TestCancelEndsARequestAndItsWaits(t *testing.T) {
	cause := errors.New("enough")
	f := func(what string, answer func(w http.ResponseWriter, r *http.Request)) {
		t.Helper()
		arrived := make(chan bool, 100)
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
			arrived <- true
			answer(w, r)
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-arrived
			cancel(cause)
		}()
		_, err := client(t, "retry: {initial: 1h, max: 1h, max_elapsed: 0}").Do(ctx, &Request{Method: "GET", URL: url})
		if !errors.Is(err, cause) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("without an answer", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f("before the next try", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	f("with half an answer", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

func TestTimeouts(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		_, err := get(t, client(t, yaml+"\nretry: {max_attempts: 2, initial: 1ms, max: 1ms}"), url)
		var e *Error
		if !errors.As(err, &e) || e.Tries != 2 || e.Class != Temporary || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	f("timeout: 30ms", "no whole answer within timeout, 30ms")
	f("read_timeout: 30ms", "silent for read_timeout, 30ms")
}

func TestReadTimeoutLetsASteadyServerGoOn(t *testing.T) {
	step := 20 * time.Millisecond
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for range 20 { // 400 ms in all
			<-tick.C
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
		}
	})
	resp, err := get(t, client(t, "read_timeout: 300ms\nretry: {max_attempts: 1}"), url)
	if err != nil || len(resp.Body) != 20 {
		t.Error(err)
	}
}

func TestAnswersHaveALimit(t *testing.T) {
	body := strings.Repeat("x", 5000)
	f := func(yaml string, good bool) {
		t.Helper()
		for _, chunked := range []bool{true, false} {
			url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if chunked {
					http.NewResponseController(w).Flush()
				}
				io.WriteString(w, body)
			})
			resp, err := get(t, client(t, fast+yaml), url)
			var e *Error
			switch {
			case good && (err != nil || len(resp.Body) != 5000):
				t.Errorf("%s: %v", yaml, err)
			case !good && (!errors.As(err, &e) || e.Class != Row || !strings.Contains(err.Error(), "longer than max_response")):
				t.Errorf("%s: %v", yaml, err)
			case count.Load() != 1:
				t.Errorf("%s: %d requests", yaml, count.Load())
			}
		}
	}
	f("max_response: 5000", true)
	f("max_response: 4999", false)
}

func TestJSONOfAnErrorNeverHasSecrets(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.WriteHeader(400)
		io.WriteString(w, "no such key: "+r.URL.Query().Get("k")+r.Header.Get("Authorization"))
	})
	for _, auth := range []string{"auth: {api_key: {name: k, in: query, value: opensesame}}", "auth: {bearer: opensesame}"} {
		_, err := get(t, client(t, auth), url+"/?a=1")
		text, _ := json.Marshal(err)
		if err == nil || strings.Contains(err.Error()+string(text), "opensesame") {
			t.Error(err, string(text))
		}
	}
}
