package webapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

func TestConfigurationsThatCannotBe(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		doc, problems := configs.Parse("t.yaml", []byte(yaml), configs.Variables{})
		if len(problems) == 0 {
			problems = configs.Decode(doc, new(Config))
		}
		if text := problems.Error(); len(problems) != 1 || !strings.Contains(text, want) || strings.Contains(text, "hush") {
			t.Errorf("%s:\n%s\nwant %s", yaml, text, want)
		}
	}
	f("rate: 10", "rate.limit: \"10\" is not a rate: write a number of requests and a time, such as 10/s")
	f("rate: 10/fortnight", "is not a rate")
	f("rate: -1/s", "is not a rate")
	f("rate: {limit: 10/s, burst: 0}", "rate.burst: \"0\" is below the minimum of 1")
	f("retry: {on: [429, 6xx]}", "6xx is neither a status such as 404 nor a class such as 5xx")
	f("retry: {on: [soon]}", "neither a status")
	f("retry: {initial: 1m}", "retry.max: is less than initial")
	f("retry: {max_attempts: 0}", "below the minimum")
	f("circuit_breaker: {failures: 5, of: 2}", "is more than of")
	f("auth: {}", "auth: must have one of bearer, basic, api_key and oauth2")
	f("auth: {bearer: a, basic: {user: b}}", "auth: must have one of")
	f(`auth: {bearer: "hush\nX: y"}`, "auth.bearer: has characters that a header must not have")
	f("auth: {api_key: {name: 'a b', value: hush}}", "auth.api_key.name: is no name of a header")
	f("auth: {oauth2: {token_url: login, client_id: a, client_secret: hush}}", "auth.oauth2.token_url: is no URL")
	f("tls: {cert_file: a.pem}", "has one of cert_file and key_file")
	f("proxy: 'ftp://me:hush@x'", "proxy: is no URL of a proxy")
	f("headers: {'a b': c}", "headers.a b: is no name of a header")
	f(`headers: {a: "b\nc"}`, "headers.a: its value has characters")
	f("headers: {Host: x}", "headers.Host: cannot be set here")
	f("headers: {idempotency-key: x}", "cannot be set here (say idempotency_key)")
	f("headers: {Accept: a, accept: b}", "stands twice")
}

func TestWhatLooksLikeASecretIsWarnedOf(t *testing.T) {
	for _, yaml := range []string{"headers: {Authorization: Bearer x}", "headers: {X-API-Key: x}", "tls: {insecure_skip_verify: true}"} {
		doc, _ := configs.Parse("t.yaml", []byte(yaml), configs.Variables{})
		if problems := configs.Decode(doc, new(Config)); len(problems.Warnings()) != 1 || problems.Err() != nil {
			t.Errorf("%s: %v", yaml, problems)
		}
	}
}

func TestRatesReadAndWrite(t *testing.T) {
	f := func(text string, perSecond float64) {
		t.Helper()
		var r Frequency
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
		}
		if p := r.PerSecond(); p < perSecond*0.999999 || p > perSecond*1.000001 {
			t.Errorf("%s is %v a second", text, p)
		}
		if back, _ := r.MarshalText(); string(back) != text {
			t.Errorf("%s is written %s", text, back)
		}
	}
	f("10/s", 10)
	f("600/m", 10)
	f("0.5/s", 0.5)
	f("3600/h", 1)
	f("86400/d", 1)
	f("100/15m0s", 100.0/900)
}

func TestURLsAreToldWithoutSecrets(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		if got := Redact(url); got != want {
			t.Errorf("%s is told as %s, want %s", url, got, want)
		}
	}
	f("https://x/y?page=2&q=a%20b", "https://x/y?page=2&q=a%20b")
	f("https://me:hush@x/y", "https://x/y")
	f("https://x/?access_token=hush&API_KEY=hush&X-Amz-Signature=hush&n=1", "https://x/?access_token=***&API_KEY=***&X-Amz-Signature=***&n=1")
	f("https://me:hush@x/%zz?token=hush", "…@x/%zz")
}

func TestAProxyIsUsed(t *testing.T) {
	proxy, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Write([]byte("proxy for " + r.URL.String()))
	})
	resp, err := get(t, client(t, "proxy: "+proxy), "http://api.invalid/x")
	if err != nil || string(resp.Body) != "proxy for http://api.invalid/x" {
		t.Errorf("%+v %v", resp, err)
	}
}
