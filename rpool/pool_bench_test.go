package rpool

import (
	"context"
	"testing"
)

// instant is a process that answers at once, so that what is measured is the
// pool's own share of a round trip.
type instant struct {
	*fakeProcess
	reply Reply
}

func (p *instant) Do(context.Context, *Request) (*Reply, error) { return &p.reply, nil }

type instantTemplate struct{ *fakeTemplate }

func (t *instantTemplate) Start(ctx context.Context) (process, error) {
	p, err := t.fakeTemplate.Start(ctx)
	if err != nil {
		return nil, err
	}
	return &instant{fakeProcess: p.(*fakeProcess)}, nil
}

func benchPool(b *testing.B, o Options) *Pool {
	r := &fakeR{}
	p, err := newPool(o, func(ctx context.Context, env *Environment, o *Options) (template, error) {
		t, err := r.launch(ctx, env, o)
		if err != nil {
			return nil, err
		}
		return &instantTemplate{t.(*fakeTemplate)}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// BenchmarkDo is the pool's share of one request: free is with a worker at hand,
// queued with eight callers for each of two workers. The bar for the whole round
// trip, 8,000 a second on two workers, leaves 250 µs to each.
func BenchmarkDo(b *testing.B) {
	env := environment("a")
	request := &Request{Kind: Call}
	do := func(b *testing.B, ctx context.Context, p *Pool) {
		if _, err := p.Do(ctx, env, Interactive, request); err != nil {
			b.Error(err)
		}
	}
	b.Run("free", func(b *testing.B) {
		p := benchPool(b, Options{Max: 2})
		do(b, b.Context(), p)
		b.ReportAllocs()
		for b.Loop() {
			do(b, b.Context(), p)
		}
	})
	b.Run("queued", func(b *testing.B) {
		p := benchPool(b, Options{Max: 2})
		do(b, b.Context(), p)
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				do(b, b.Context(), p)
			}
		})
	})
	b.Run("three_environments", func(b *testing.B) {
		p := benchPool(b, Options{Max: 3})
		for _, name := range []string{"b", "c"} {
			if err := p.Warm(b.Context(), environment(name), 1); err != nil {
				b.Fatal(err)
			}
		}
		do(b, b.Context(), p)
		b.ReportAllocs()
		for b.Loop() {
			do(b, b.Context(), p)
		}
	})
}

func BenchmarkStats(b *testing.B) {
	p := benchPool(b, Options{Max: 16})
	if err := p.Warm(b.Context(), environment("a"), 16); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Stats()
	}
}
