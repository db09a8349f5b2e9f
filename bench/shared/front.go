//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	path   = "/hello"
	answer = `{"msg":["hi"]}`
)

// front is the HTTP side: an API behind a port.
type front struct {
	url    string
	server *http.Server
	served chan error
}

func listen(api http.Handler) (*front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{
		url:    "http://" + l.Addr().String() + path,
		server: &http.Server{Handler: api, ErrorLog: log.New(io.Discard, "", 0)}, served: make(chan error, 1),
	}
	go func() { f.served <- f.server.Serve(l) }()
	return f, nil
}

func (f *front) close() {
	f.server.Close()
	<-f.served
}

// latencies are how long requests took, in order.
type latencies []time.Duration

// at is the latency that a share of the requests did not exceed.
func (l latencies) at(share float64) time.Duration {
	return l[min(len(l)-1, int(share*float64(len(l))))]
}

// load has clients ask for a while, each with one connection and a request as soon
// as the last one is answered.
func (f *front) load(clients int, period time.Duration) (latencies, error) {
	all := make([]latencies, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range clients {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: time.Minute}
			defer client.CloseIdleConnections()
			for time.Since(start) < period && errs[i] == nil {
				began := time.Now()
				errs[i] = f.ask(client)
				all[i] = append(all[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	together := slices.Concat(all...)
	slices.Sort(together)
	return together, errors.Join(errs...)
}

func (f *front) ask(client *http.Client) error {
	resp, err := client.Get(f.url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != answer) {
		err = fmt.Errorf("status %d, %s", resp.StatusCode, body)
	}
	return err
}
