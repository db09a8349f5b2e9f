package predict

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
short <- function(rows) rows[-1, , drop = FALSE]
die <- function(rows) {
  if (any(rows$x == 13)) tools::pskill(Sys.getpid(), 9)
  rows
}
slow <- function(rows) {
  if (any(rows$x == 13)) Sys.sleep(60)
  rows
}
probabilities <- function(rows) cbind(no = 1 - rows$p, yes = rows$p)
`

// pool is a pool of so many workers.
func pool(t testing.TB, workers int) *rpool.Pool {
	t.Helper()
	p, err := rpool.New(rpool.Options{Max: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// serve brings up an endpoint of so many workers.
func serve(t testing.TB, workers int, edit func(*Endpoint)) *Predictor {
	t.Helper()
	return serveOn(t, pool(t, workers), edit)
}

func serveOn(t testing.TB, on *rpool.Pool, edit func(*Endpoint)) *Predictor {
	t.Helper()
	o := Options{Pool: on, Env: &rpool.Environment{Setup: model, Dir: t.TempDir()}}
	configs.SetDefaults(&o.Endpoint)
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
