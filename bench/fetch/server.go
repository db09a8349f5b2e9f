//go:build unix

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// server answers each request after the latency, and notes when it came.
type server struct {
	url  string
	http *http.Server

	mu    sync.Mutex
	times []time.Time
}

func serve() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + l.Addr().String()}
	s.http = &http.Server{Handler: http.HandlerFunc(s.answer), ErrorLog: log.New(io.Discard, "", 0)}
	go s.http.Serve(l)
	return s, nil
}

func (s *server) close() { s.http.Close() }

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	s.mu.Lock()
	s.times = append(s.times, now)
	s.mu.Unlock()
	time.Sleep(latency)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"sku": "item-%s", "price": %d.5, "stock": {"here": %d, "there": 3}}`, r.URL.Path[len("/items/"):], len(r.URL.Path), len(r.URL.Path))
}

func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = nil
}

func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// pace is how many requests came in a second once the burst was over, and the
// most that came within any one second.
func (s *server) pace(burst int) (perSecond float64, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.times, time.Time.Compare)
	first, last := s.times[0], s.times[len(s.times)-1]
	perSecond = float64(len(s.times)-burst) / last.Sub(first).Seconds()
	from := 0
	for i, t := range s.times {
		for t.Sub(s.times[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return perSecond, most
}
