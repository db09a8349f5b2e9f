package front

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

func TestConfigurationIsDocumented(t *testing.T) {
	var all struct {
		Listen Listen `yaml:"listen" doc:"Where."`
		Log    Log    `yaml:"log" doc:"What."`
		Policy Policy `yaml:"policy" doc:"Who."`
	}
	if got := configs.Audit(&all); len(got) > 0 {
		t.Error(strings.Join(got, "\n"))
	}
}

func TestARequestHasItsBodyAndItsExchange(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r.Context())
		fmt.Fprintf(w, "%s %s %d %s %s", x.Client, x.Scheme, x.Body.Size, x.Body.Data, r.Header.Get("X-Request-Id"))
	})
	resp, body := s.do("POST", "/", "hello", "X-Request-Id", "mine")
	id := resp.Header.Get("X-Request-Id")
	if want := "127.0.0.1 http 5 hello " + id; body != want || id == "mine" || len(id) < 20 {
		t.Errorf("%q, want %q", body, want)
	}
	if d := <-s.done; d.ID != id || d.status != 200 || d.written != int64(len(body)) {
		t.Errorf("%+v", d)
	}
}
