package bench

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

// Server is a web API on this machine: it answers /items/… with JSON, each
// request after its latency and all at once, and notes when they came.
type Server struct {
	URL string

	latency time.Duration
	http    *http.Server

	mu    sync.Mutex
	times []time.Time
}

// Serve starts a server.
func Serve(latency time.Duration) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + l.Addr().String(), latency: latency}
	s.http = &http.Server{Handler: http.HandlerFunc(s.answer), ErrorLog: log.New(io.Discard, "", 0)}
	go s.http.Serve(l)
	return s, nil
}

// Close ends it and all its connections.
func (s *Server) Close() { s.http.Close() }

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	s.mu.Lock()
	s.times = append(s.times, now)
	s.mu.Unlock()
	time.Sleep(s.latency)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"sku": "item-%s", "price": %d.5, "stock": {"here": %d, "there": 3}}`, r.URL.Path[len("/items/"):], len(r.URL.Path), len(r.URL.Path))
}

// Forget begins the count anew.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = nil
}

// Requests is how many came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// Pace is how many requests came in a second once the burst was over, and the
// most that came within any one second.
func (s *Server) Pace(burst int) (perSecond float64, most int) {
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
