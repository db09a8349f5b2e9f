package server

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// bomb is a vector of doubles, all 0, in R's serialization by gzip: a thousandth of it.
func bomb(t testing.TB, bytesOf int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	head := []byte("X\n\x00\x00\x00\x02\x00\x04\x02\x02\x00\x02\x03\x00\x00\x00\x00\x0e") // version 2, REALSXP
	z.Write(binary.BigEndian.AppendUint32(head, uint32(bytesOf/8)))
	zeros := make([]byte, 1<<20)
	for n := 0; n < bytesOf; n += len(zeros) {
		z.Write(zeros[:min(len(zeros), bytesOf-n)])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBombs: what is compressed is held to the same limits as it is without.
func TestBombs(t *testing.T) {
	s := serve(t, func(f *File) { f.Limits.Body, f.Limits.Value = 2<<20, 4<<20 })
	large := string(bomb(t, 256<<20))
	if len(large) > 2<<20 {
		t.Fatalf("%d bytes", len(large))
	}
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if f := s.fault(t, 413, "POST", "/v1/jobs", large, "Content-Type", api.R); f.Code != "too_large" || !strings.Contains(f.Message, "limits.body") {
		t.Errorf("%+v", f)
	}
	doc := fmt.Sprintf(`{"fun": "identity", "queue": "q", "over": {"$r": %q}}`, base64.StdEncoding.EncodeToString(bomb(t, 128<<20)))
	if f := s.fault(t, 413, "POST", "/v1/jobs", doc); f.Field != "over" {
		t.Errorf("%+v", f)
	}
	status, _, body := s.ask(t, "PUT", "/v1/values", string(bomb(t, 64<<20)), "Content-Type", api.R)
	if status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	_, ref, _ := strings.Cut(body, `"ref":"`)
	ref, _, _ = strings.Cut(ref, `"`)
	if f := s.fault(t, 413, "POST", "/v1/jobs", `{"fun": "identity", "queue": "q", "over": {"$ref": "`+ref+`"}}`); f.Field != "over" {
		t.Errorf("%+v", f)
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 300<<20 {
		t.Errorf("refusing took %d MiB", took>>20)
	}
	// What is compressed and small is taken.
	small := fmt.Sprintf(`{"fun": "identity", "queue": "q", "over": {"$r": %q}}`, base64.StdEncoding.EncodeToString(bomb(t, 80)))
	if status, _, body := s.ask(t, "POST", "/v1/jobs", small); status != 201 || !strings.Contains(body, `"n":10`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestLargeBodies(t *testing.T) {
	s := serve(t, func(f *File) { f.Limits.Body, f.Limits.Value = 2<<10, 4<<10 })
	large := `{"expr": "` + strings.Repeat("x", 3<<10) + `"}`
	s.fault(t, 413, "POST", "/v1/jobs", large)
	s.fault(t, 413, "PUT", "/v1/values", strings.Repeat("x", 5<<10), "Content-Type", api.Bytes)
	s.fault(t, 413, "POST", "/v1/cancel", large)
	if status, _, body := s.ask(t, "POST", "/login", "token="+strings.Repeat("x", maxForm+1), "Content-Type", "application/x-www-form-urlencoded"); status != 413 {
		t.Errorf("%d %s", status, body)
	}
	// A length that is not said: a stream of chunks.
	c := s.dial(t)
	io.WriteString(c, "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 4 {
		fmt.Fprintf(c, "400\r\n%s\r\n", strings.Repeat("x", 1<<10))
	}
	if status := statusOf(t, c); status != 413 {
		t.Errorf("%d", status)
	}
	// Headers, and addresses.
	c = s.dial(t)
	fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 100<<10))
	if status := statusOf(t, c); status != 431 {
		t.Errorf("%d", status)
	}
	c = s.dial(t)
	fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", strings.Repeat("x", 20<<10))
	if status := statusOf(t, c); status != 414 {
		t.Errorf("%d", status)
	}
	// JSON that is deep, and arrays without end.
	if f := s.fault(t, 400, "POST", "/v1/jobs", `{"args": `+strings.Repeat("[", 500)); !strings.Contains(f.Message, "json_depth") {
		t.Errorf("%+v", f)
	}
}

func TestSlowBodies(t *testing.T) {
	s := serve(t, func(f *File) { f.Listen.BodyTimeout = configs.Duration(200 * time.Millisecond) })
	for _, path := range []string{"/v1/jobs", "/login"} {
		c := s.dial(t)
		start := time.Now()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n{", path)
		if status := statusOf(t, c); status != 408 {
			t.Errorf("%s: %d after %v", path, status, time.Since(start))
		}
	}
	// Headers that never end.
	c := s.dial(t)
	fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || strings.Contains(string(b), " 200 ") {
		t.Errorf("%s, %v", b, err)
	}
}

func (s *site) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
