package predict

import (
	"log/slog"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// A graph that has ended by a fault of rpipe's own answers with an error, to those
// inside and to those who come: nobody waits for ever.
func TestAnEndpointThatIsBrokenSaysSo(t *testing.T) {
	f := newFlow(t.Context(), flowOptions{
		log: slog.New(slog.DiscardHandler), fun: nil, // so that whoever asks it panics
		policy: policy{rows: 10, bytes: 1 << 20}, queue: queue{length: 10}, concurrency: 1, attempts: 1,
	})
	for range 3 {
		if o, err := f.do(newCall(t.Context(), frame.Empty(readerOf(t, "x", "double").schema.Schema), false)); err == nil && o.pieces[0].err == nil {
			t.Error("it has answered")
		}
	}
	if err := f.drain(t.Context()); err == nil {
		t.Error("the fault is not told")
	}
}
