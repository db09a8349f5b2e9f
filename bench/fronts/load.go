//go:build unix

package fronts

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Load is requests by clients that each keep one connection and send a request
// as soon as they have the answer to the last. It writes bytes and parses
// answers, and nothing else, to leave the cores to those who are measured.
type Load struct {
	Addr        string
	Path        string
	Body        string // JSON, which is posted; "" for a GET
	Want        string // the body that each answer must have, with status 200; "" for any
	Connections int

	Requests int           // in all; 0: until Period is over
	Period   time.Duration // 0: until Requests are answered
}

// Run runs the load and says how many requests were answered and in what time.
// One wrong answer, or none, is an error.
func (l Load) Run() (answered int, took time.Duration, err error) {
	var begun, done atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	more := func() bool {
		if failed.Load() != nil || l.Period > 0 && time.Since(start) >= l.Period {
			return false
		}
		return l.Requests == 0 || begun.Add(1) <= int64(l.Requests)
	}
	for range l.Connections {
		wg.Go(func() {
			c := &client{addr: l.Addr, request: l.request(), want: l.Want}
			defer c.close()
			for more() {
				if err := c.ask(); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took = time.Since(start)
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return int(done.Load()), took, nil
}

// request is what each client sends again and again.
func (l Load) request() []byte {
	head := " " + l.Path + " HTTP/1.1\r\nHost: " + l.Addr + "\r\nAccept: */*\r\n"
	if l.Body == "" {
		return []byte("GET" + head + "\r\n")
	}
	return fmt.Appendf(nil, "POST%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", head, len(l.Body), l.Body)
}

// Rate is the answers in a second.
func (l Load) Rate() (float64, error) {
	answered, took, err := l.Run()
	return float64(answered) / took.Seconds(), err
}

type client struct {
	addr    string
	request []byte
	want    string

	conn net.Conn
	r    *bufio.Reader
	body bytes.Buffer
}

// ask sends the request and reads its answer.
func (c *client) ask() error {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	c.body.Reset()
	if _, err := io.Copy(&c.body, answer.Body); err != nil {
		return fmt.Errorf("half an answer: %w", err)
	}
	if answer.StatusCode != 200 || c.want != "" && c.body.String() != c.want {
		return fmt.Errorf("status %d and body %.200q, not 200 and %q", answer.StatusCode, c.body.String(), c.want)
	}
	if answer.Close {
		c.close()
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
