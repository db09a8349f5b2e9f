// Command api is a web API that misbehaves as they do: it says 429 with
// Retry-After, takes its time for some, cuts connections, and for a few orders
// answers what is no JSON. It serves the example in the directory above:
//
//	go run ./configs/examples/enrich/api
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8089", "address to listen on")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	log.Fatal(http.Serve(l, &api{tries: map[int]int{}}))
}

// api knows how often it was asked for each order: what fails once works later.
type api struct {
	mu    sync.Mutex
	tries map[int]int
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/orders/"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	a.mu.Lock()
	a.tries[id]++
	first := a.tries[id] == 1
	a.mu.Unlock()
	switch {
	case first && id%25 == 3:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	case first && id%25 == 7:
		http.Error(w, "out for a moment", http.StatusServiceUnavailable)
		return
	case first && id%25 == 11:
		panic(http.ErrAbortHandler) // the connection is cut
	case id%100 == 50:
		fmt.Fprint(w, `{"status": "paid", "amount": `) // always: the row goes to the dead letter
		return
	case id%40 == 13:
		time.Sleep(400 * time.Millisecond) // a slow tail; the others do not wait for it
	}
	status := "paid"
	if id%9 == 0 {
		status = "refunded"
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"status": %q, "amount": %d.25, "lines": [{"sku": "s%d", "n": %d}]}`, status, id%500+1, id%17, id%4+1)
}
