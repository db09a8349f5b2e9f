package sources

import "sync"

// advance opens files before their turn, so that the way to those that are far
// is gone while others are read. One goroutine uses it.
type advance[T any] struct {
	open  func(i int) (T, error)
	drop  func(T) // closes what was opened and not taken
	depth int     // how many are open before their turn; 0 opens each when it is taken
	next  int     // to be opened
	end   int
	under []chan opening[T]
	wg    sync.WaitGroup
}

type opening[T any] struct {
	file T
	err  error
}

// farAhead is the depth where each opening costs a round trip.
const farAhead = 4

// depthOf is how far ahead files are to be opened.
func depthOf(files []file) int {
	for _, f := range files {
		if _, far := f.opener.(object); far {
			return farAhead
		}
	}
	return 0
}

// take gives the files in their order, from next on.
func (a *advance[T]) take() (T, error) {
	if a.depth == 0 {
		a.next++
		return a.open(a.next - 1)
	}
	for len(a.under) <= a.depth && a.next < a.end {
		i, c := a.next, make(chan opening[T], 1)
		a.next++
		a.under = append(a.under, c)
		a.wg.Go(func() {
			var o opening[T]
			o.err = caught(func() (err error) {
				o.file, err = a.open(i)
				return err
			})
			c <- o
		})
	}
	o := <-a.under[0]
	a.under = a.under[1:]
	return o.file, o.err
}

// close gives up what is not taken.
func (a *advance[T]) close() {
	a.wg.Wait()
	for _, c := range a.under {
		if o := <-c; o.err == nil {
			a.drop(o.file)
		}
	}
	a.under = nil
}
