package proxy

import (
	"testing"

	"github.com/rpipe-dev/rpipe/metrics"
)

// TestRetryKeepsWhatAReloadBrought: one that waits for a reload does not bring back the
// configuration from before it.
func TestRetryKeepsWhatAReloadBrought(t *testing.T) {
	m, err := NewMount(t.Context(), &File{}, MountOptions{Metrics: metrics.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	newer := &File{}
	m.loading.Lock() // a reload under way
	begun, done := make(chan struct{}), make(chan error)
	go func() {
		close(begun)
		done <- m.Retry(t.Context())
	}()
	<-begun
	m.router.site.Store(&site{file: newer})
	m.loading.Unlock()
	if err := <-done; err != nil || m.File() != newer {
		t.Errorf("%v: the old configuration is back", err)
	}
}
