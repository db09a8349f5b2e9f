package broker

import (
	"testing"
	"time"
)

// TestAnEngineThatStartsAnewHasNoClaims: what was claimed, given back or neither before
// it ended is there at once, and in order, however long leases are.
func TestAnEngineThatStartsAnewHasNoClaims(t *testing.T) {
	dir := t.TempDir()
	begin := func() *Broker {
		t.Helper()
		return open(t, func(o *Options) { o.Dir, o.AckWait = dir, time.Hour })
	}
	b := begin()
	push(t, b, Work{"q", 2, "j", 1}, Work{"q", 2, "j", 2}, Work{"q", 2, "j", 3})
	l := lanesOf(t, b, "q")
	for n := 1; n <= 2; {
		ds, err := l.Next(within(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if d.N == 1 {
				if err := d.Nak(time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			n++
		}
	}
	l.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = begin()
	for i, d := range claim(t, lanesOf(t, b, "q"), 3, 3) {
		if d.N != i+1 {
			t.Errorf("%d in place %d", d.N, i+1)
		}
	}
}
