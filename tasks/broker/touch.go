package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// Touch makes an object as new as one that is put now, and leaves its bytes where they
// are. ErrNotFound where there is none, or no longer.
func (o Objects) Touch(ctx context.Context, name string) error {
	r, c, err := o.head(ctx, name)
	if err == nil {
		m := &nats.Msg{Subject: r.Subject, Data: r.Data, Header: nats.Header{headExpect: {strconv.FormatUint(r.Seq, 10)}}}
		if c.ID != "" {
			m.Header[headChunks] = []string{c.ID}
		}
		_, err = o.b.publish(ctx, m)
	}
	if errors.Is(err, ErrConflict) {
		// somebody else has touched, replaced or deleted it
		if _, _, err = o.head(ctx, name); err == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("touch object %s: %w", name, err)
	}
	return nil
}
