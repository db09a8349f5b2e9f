package broker

import (
	"errors"
	"strconv"

	"github.com/sourcegraph/conc/pool"
)

// each calls f for 0 to n-1, so many at a time, and joins the errors.
func each(n, at int, f func(i int) error) error {
	if at == 1 {
		var errs []error
		for i := range n {
			errs = append(errs, f(i))
		}
		return errors.Join(errs...)
	}
	p := pool.New().WithErrors().WithMaxGoroutines(at)
	for i := range n {
		p.Go(func() error { return f(i) })
	}
	return errors.Join(p.Wait())
}

func base36(n uint64) string { return strconv.FormatUint(n, 36) }

func itoa(n int) string { return strconv.Itoa(n) }
