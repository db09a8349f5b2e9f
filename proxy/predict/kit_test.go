package predict

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

// model is the R code that the tests' endpoints have.
const model = `
fit <- lm(dist ~ speed, cars)
predict_dist <- function(rows) predict(fit, rows)
twice <- function(rows) rows$speed * 2
echo <- function(rows) rows
bad_is_bad <- function(rows) {
  if (any(rows$x < 0)) stop("x is negative: ", paste(rows$x[rows$x < 0], collapse = " "))
  data.frame(y = rows$x * 2)
}
size <- function(rows) data.frame(id = rows$id, n = nrow(rows))
die <- function(rows) {
  if (any(rows$x == 13)) tools::pskill(Sys.getpid(), 9)
  rows
}
slow <- function(rows) {
  if (any(rows$x == 13)) Sys.sleep(60)
  rows
}
dropper <- function(rows) rows[rows$x != 13, , drop = FALSE]
die_once <- function(rows) {
  if (!file.exists(rows$file[1])) {
    file.create(rows$file[1])
    tools::pskill(Sys.getpid(), 9)
  }
  rows
}
named <- function(rows) setNames(letters[seq_len(nrow(rows))], paste0("n", seq_len(nrow(rows))))
levels_of <- function(rows) factor(ifelse(rows$x < 0.3, "low", "high"), c("low", "high"))
a_list <- function(rows) list(fit = rows$x, se = 1)
pick_type <- function(rows) {
  what <- vapply(rows, function(x) {
    paste0(class(x)[1], if (is.factor(x)) ":", paste(levels(x), collapse = "/"), if (inherits(x, "POSIXct")) paste0(" ", attr(x, "tzone")))
  }, "")
  bytes <- as.integer(serialize(rows, NULL, version = 2L))
  rep(paste(paste(what, collapse = ","), sum(bytes * (seq_along(bytes) %% 9973))), nrow(rows))
}
slow_size <- function(rows) size(slow(rows))
probabilities <- function(rows) cbind(no = 1 - rows$p, yes = rows$p)
`

// withModel is the environment of the tests' workers.
var withModel = rpool.Environment{Setup: model}

// one is the pool of all tests, which TestMain closes: a template takes longer to
// load than most of them take.
var one struct {
	once sync.Once
	pool *rpool.Pool
	err  error
}

func shared(t testing.TB) *rpool.Pool {
	t.Helper()
	one.once.Do(func() { one.pool, one.err = rpool.New(rpool.Options{Max: 2}) })
	if one.err != nil {
		t.Fatal(one.err)
	}
	return one.pool
}

// serve brings up an endpoint that has so many batches in R at once.
func serve(t testing.TB, concurrency int, edit func(*Endpoint)) *Predictor {
	t.Helper()
	o := Options{Pool: shared(t), Env: &withModel}
	configs.SetDefaults(&o.Endpoint)
	o.Endpoint.Concurrency = concurrency
	edit(&o.Endpoint)
	return bringUp(t, o)
}

func bringUp(t testing.TB, o Options) *Predictor {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// columns is a schema of alternating names and types.
func columns(namesAndTypes ...string) (out configs.Pairs) {
	for i := 0; i < len(namesAndTypes); i += 2 {
		out = append(out, configs.Pair{Name: namesAndTypes[i], Value: namesAndTypes[i+1]})
	}
	return out
}

// post sends a body and returns the answer. Headers are "Name: value".
func post(t testing.TB, p http.Handler, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return postWith(context.Background(), p, &exchange.Exchange{ID: "test"}, []byte(body), headers...)
}

func postWith(ctx context.Context, p http.Handler, x *exchange.Exchange, body []byte, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(exchange.With(ctx, x), http.MethodPost, "/predict", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// eventually waits for what no signal tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
