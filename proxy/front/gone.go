package front

import (
	"syscall"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// askClients is how often the system is asked whether clients are still there.
const askClients = time.Second

// watchClients ends requests whose clients have gone where net/http cannot know.
func (f *Front) watchClients() {
	ask := time.NewTicker(askClients)
	defer ask.Stop()
	for {
		select {
		case <-f.base.Done():
			return
		case <-ask.C:
		}
		for _, c := range f.conns.all() {
			cancel := c.active.Load()
			if cancel == nil {
				continue
			}
			if s, ok := c.Conn.(syscall.Conn); ok && hungUp(s) {
				(*cancel)(fault.ErrClientGone)
			}
		}
	}
}
