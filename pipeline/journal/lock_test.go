package journal

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

// TestLockBesideOneThatLetsGo: who lets go removes the directory where nothing is in it,
// and who takes the lock makes it. Neither is an error of the other's.
func TestLockBesideOneThatLetsGo(t *testing.T) {
	place := filepath.Join(t.TempDir(), ".rpipe")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			d, err := Open(place, "p", nil)
			if err != nil {
				t.Error(err)
				return
			}
			for range 100 {
				switch err := d.Lock(); {
				case err == nil:
					d.Unlock()
				case !errors.Is(err, ErrLocked):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
