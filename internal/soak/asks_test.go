//go:build linux

package soak

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ask is a request whose answer can be checked.
type ask struct {
	name   string
	method string
	path   string
	header http.Header
	body   []byte
	status int                          // that it must have
	check  func(a *answer) (int, error) // of the body; the version of the code that answered, 0 where it does not say
}

// repeatable reports whether a proxy may send it twice.
func (k *ask) repeatable() bool { return k.method != http.MethodPost }

func (k *ask) request(host string) (*http.Request, error) {
	r, err := http.NewRequest(k.method, "http://"+host+k.path, bytes.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	for name, values := range k.header {
		r.Header[name] = values
	}
	return r, nil
}

// judge says whether an answer is right.
func (k *ask) judge(a *answer) (version int, err error) {
	if a.status != k.status {
		return 0, fmt.Errorf("status %d, not %d: %.300s", a.status, k.status, a.body)
	}
	if k.check == nil {
		return 0, nil
	}
	return k.check(a)
}

// asks make random requests of each kind.
var asks = []func(*rand.Rand) *ask{
	echo, echo, echo, sums, posted, posted, bytesPosted, cookie, plot, file, headOfFile, missing, failing, slow,
}

// nonce is a text that no other request has, with what is hard to quote.
func nonce(rng *rand.Rand) string {
	letters := []rune("abc XYZ019&=%+/?#\"'\\<>äßé漢😀~")
	n := make([]rune, 6+rng.IntN(20))
	for i := range n {
		n[i] = letters[rng.IntN(len(letters))]
	}
	return fmt.Sprintf("%016x%s", rng.Uint64(), string(n))
}

func echo(rng *rand.Rand) *ask {
	n := nonce(rng)
	return &ask{name: "echo", method: "GET", path: "/echo?nonce=" + escaped(n), status: 200, check: same(n)}
}

func slow(rng *rand.Rand) *ask {
	n := nonce(rng)
	return &ask{name: "slow", method: "GET", path: fmt.Sprintf("/slow?ms=%d&nonce=%s", 50+rng.IntN(300), escaped(n)), status: 200, check: same(n)}
}

// escaped is for a query: a space is %20, since R takes + for a plus.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// reply is the JSON of most endpoints.
type reply struct {
	Version int     `json:"version"`
	Nonce   string  `json:"nonce"`
	N       int     `json:"n"`
	Sum     float64 `json:"sum"`
}

func decode(a *answer) (r reply, err error) {
	if err := json.Unmarshal(a.body, &r); err != nil {
		return r, fmt.Errorf("%w: %.300q", err, a.body)
	}
	return r, nil
}

// same holds that the nonce came back.
func same(nonce string) func(*answer) (int, error) {
	return func(a *answer) (int, error) {
		r, err := decode(a)
		if err == nil && r.Nonce != nonce {
			err = fmt.Errorf("answer to %q: %.300q", nonce, a.body)
		}
		return r.Version, err
	}
}

func sums(rng *rand.Rand) *ask {
	a, b := rng.IntN(1e6), rng.IntN(1e6)
	return &ask{name: "sum", method: "GET", path: fmt.Sprintf("/sum/%d/%d", a, b), status: 200, check: func(got *answer) (int, error) {
		r, err := decode(got)
		if err == nil && r.Sum != float64(a+b) {
			err = fmt.Errorf("%d + %d is %s", a, b, got.body)
		}
		return r.Version, err
	}}
}

// posted sends JSON.
func posted(rng *rand.Rand) *ask {
	n, values, sum := nonce(rng), make([]int, 1+rng.IntN(2000)), 0
	for i := range values {
		values[i] = rng.IntN(1000)
		sum += values[i]
	}
	body, _ := json.Marshal(map[string]any{"nonce": n, "values": values})
	return &ask{name: "json", method: "POST", path: "/json", header: http.Header{"Content-Type": {"application/json"}}, body: body, status: 200, check: func(a *answer) (int, error) {
		r, err := decode(a)
		if err == nil && (r.Nonce != n || r.N != len(values) || r.Sum != float64(sum)) {
			err = fmt.Errorf("%d values with sum %d for %q: %.300q", len(values), sum, n, a.body)
		}
		return r.Version, err
	}}
}

// bytesPosted sends bytes of all sizes, from none to so many that they are
// buffered in a file.
func bytesPosted(rng *rand.Rand) *ask {
	n, body := nonce(rng), make([]byte, rng.IntN(1<<(4+rng.IntN(18))))
	sum := 0.0
	for i := range body {
		body[i] = byte(rng.Uint32())
		sum += float64(body[i]) * float64(i%251)
	}
	return &ask{name: "bytes", method: "POST", path: "/bytes?nonce=" + escaped(n), header: http.Header{"Content-Type": {"application/octet-stream"}}, body: body, status: 200, check: func(a *answer) (int, error) {
		r, err := decode(a)
		if err == nil && (r.Nonce != n || r.N != len(body) || r.Sum != sum) {
			err = fmt.Errorf("%d bytes with sum %g for %q: %.300q", len(body), sum, n, a.body)
		}
		return r.Version, err
	}}
}

func cookie(rng *rand.Rand) *ask {
	value := fmt.Sprintf("%016x", rng.Uint64())
	return &ask{name: "cookie", method: "GET", path: "/cookie", header: http.Header{"Cookie": {"other=1; soak=" + value}}, status: 200, check: func(a *answer) (int, error) {
		r, err := decode(a)
		set := a.header.Values("Set-Cookie")
		if err == nil && (r.Nonce != value || !slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, "back="+value) })) {
			err = fmt.Errorf("cookie %s: %.300q, Set-Cookie %q", value, a.body, set)
		}
		return r.Version, err
	}}
}

func plot(rng *rand.Rand) *ask {
	width := 100 + rng.IntN(300)
	return &ask{name: "plot", method: "GET", path: fmt.Sprintf("/plot?n=%d", width), status: 200, check: func(a *answer) (int, error) {
		if len(a.body) < 24 || string(a.body[:8]) != "\x89PNG\r\n\x1a\n" || a.header.Get("Content-Type") != "image/png" {
			return 0, fmt.Errorf("no PNG: %s, %.100q", a.header.Get("Content-Type"), a.body)
		}
		if got := binary.BigEndian.Uint32(a.body[16:]); got != 400 {
			return 0, fmt.Errorf("a PNG that is %d wide, not 400", got)
		}
		return 0, nil
	}}
}

// asset is the file in www.
const asset = "what stands in a file\n"

func file(*rand.Rand) *ask {
	return &ask{name: "file", method: "GET", path: "/www/file.txt", status: 200, check: func(a *answer) (int, error) {
		if string(a.body) != asset {
			return 0, fmt.Errorf("the file is %.300q", a.body)
		}
		return 0, nil
	}}
}

func headOfFile(*rand.Rand) *ask {
	return &ask{name: "head", method: "HEAD", path: "/www/file.txt", status: 200}
}

func missing(rng *rand.Rand) *ask {
	return &ask{name: "missing", method: "GET", path: fmt.Sprintf("/nowhere/%d", rng.Uint64()), status: 404}
}

func failing(rng *rand.Rand) *ask {
	return &ask{name: "fail", method: "GET", path: "/fail", status: 500, check: func(a *answer) (int, error) {
		if !strings.Contains(string(a.body), "Internal server error") {
			return 0, fmt.Errorf("not plumber's own answer to an error: %.300q", a.body)
		}
		return 0, nil
	}}
}

// large is an answer for clients that read slowly.
func large(rng *rand.Rand) *ask {
	n, times := fmt.Sprintf("%016x", rng.Uint64()), 20_000+rng.IntN(40_000)
	return &ask{name: "large", method: "GET", path: fmt.Sprintf("/large?nonce=%s&times=%d", n, times), status: 200, check: func(a *answer) (int, error) {
		if string(a.body) != strings.Repeat(n, times) {
			return 0, fmt.Errorf("%d bytes, not %d times %s", len(a.body), times, n)
		}
		return 0, nil
	}}
}
