package stages

import "context"

// Fan sends each batch to n edges, which share its value and have shares of its
// origins: a read is settled when all of them have settled it. The slowest edge
// sets the pace.
func Fan[T any](r *Run, name string, depth, n int, in <-chan *Batch[T]) []<-chan *Batch[T] {
	outs := make([]chan *Batch[T], n)
	edges := make([]<-chan *Batch[T], n)
	for i := range outs {
		outs[i] = make(chan *Batch[T], depth)
		edges[i] = outs[i]
		sends(r, name, edges[i])
	}
	receives(r, name, in)
	r.spawn(name, func(ctx context.Context) error {
		defer func() {
			for _, out := range outs {
				close(out)
			}
		}()
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			copies := make([]*Batch[T], n)
			for i := range copies { // all shares are taken before the first can be settled
				c := *b
				if i > 0 {
					c.Origins = share(b.Origins)
				}
				copies[i] = &c
			}
			for i, c := range copies {
				select {
				case outs[i] <- c:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			Wrote(ctx, b)
		}
	})
	return edges
}
