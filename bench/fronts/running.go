//go:build unix

package fronts

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// running are the servers that are up. A program that is interrupted ends them
// before it ends itself.
var running registry

type registry struct {
	once sync.Once
	mu   sync.Mutex
	all  []*Server
}

func (r *registry) add(s *Server) {
	r.once.Do(func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		go func() {
			<-signals
			r.mu.Lock() // for good: nothing is started any more
			for _, s := range r.all {
				kill(family(s.cmd.Process.Pid))
			}
			os.Exit(130)
		}()
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, s)
}

func (r *registry) remove(s *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(other *Server) bool { return other == s })
}

// taken are the addresses that free has given out.
var taken set

type set struct {
	mu  sync.Mutex
	has map[string]bool
}

// LoadAndStore adds a key, and reports whether it was there.
func (s *set) LoadAndStore(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has == nil {
		s.has = map[string]bool{}
	}
	was := s.has[key]
	s.has[key] = true
	return was
}
