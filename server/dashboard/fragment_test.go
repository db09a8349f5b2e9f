package dashboard

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFragmentIsMadeOnce for all who look at the same, and again for those who waited for
// somebody that has gone.
func TestAFragmentIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fragments{keep: time.Second}
		gone := errors.New("gone")
		made := 0
		f := func(html string, err error) func() ([]byte, error) {
			return func() ([]byte, error) {
				made++
				time.Sleep(time.Millisecond) // while another asks
				return []byte(html), err
			}
		}
		type answer struct {
			html string
			err  error
		}
		both := func(first, second func() ([]byte, error)) (a, b answer) {
			done := make(chan answer)
			go func() {
				html, err := c.get("k", first)
				done <- answer{string(html), err}
			}()
			synctest.Wait()
			html, err := c.get("k", second)
			return <-done, answer{string(html), err}
		}
		if a, b := both(f("one", nil), f("two", nil)); a != b || a.html != "one" || made != 1 {
			t.Errorf("%v, %v, made %d times", a, b, made)
		}
		time.Sleep(2 * time.Second)
		if a, b := both(f("", gone), f("two", nil)); a.err != gone || b.html != "two" || b.err != nil {
			t.Errorf("%v, %v", a, b)
		}
	})
}
