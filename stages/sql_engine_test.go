//go:build cgo

package stages

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

func framesOf(frames ...frame.Frame) SQLInput {
	return func(context.Context) (frame.Frame, error) {
		if len(frames) == 0 {
			return nil, io.EOF
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	}
}

// The stages of a run share a database, and each has names of its own.
func TestTablesBelongToOneStage(t *testing.T) {
	env := &Env{Temp: t.TempDir() + "/run", Memory: 1 << 20}
	one, two := env.For("one"), env.For("two")
	defer one.Close()
	r := rand.New(rand.NewPCG(5, 5))
	load := func(e *Env, rows int) SQLEngine {
		engine, err := e.SQL()
		if err != nil {
			t.Fatal(err)
		}
		f := sqlFrame(r, 0, rows)
		if err := engine.CreateTable(t.Context(), "dim", f.Schema(), framesOf(f)); err != nil {
			t.Fatal(err)
		}
		if err := engine.CreateTable(t.Context(), "Dim", f.Schema(), framesOf(f)); err == nil {
			t.Error("two tables have one name")
		}
		return engine
	}
	f := func(engine SQLEngine, want int64) {
		t.Helper()
		q, err := engine.Query(t.Context(), "SELECT i.row FROM input AS i JOIN dim USING (row)", map[string]*frame.Schema{"input": sqlRow})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		rows := int64(0)
		in := map[string]SQLInput{"input": framesOf(sqlFrame(r, 0, 50), sqlFrame(r, 50, 50))}
		if err := q.Run(t.Context(), in, func(f frame.Frame) error { rows += f.NumRows(); return nil }); err != nil || rows != want {
			t.Errorf("%d rows, want %d; %v", rows, want, err)
		}
	}
	first, second := load(one, 10), load(two, 70)
	f(first, 10)
	f(second, 70)

	_, err := first.Query(t.Context(), "SELECT\n  nosuch FROM dim", nil)
	var e *SQLError
	if !errors.As(err, &e) || e.Line != 2 || e.Column != 3 {
		t.Errorf("%#v", err)
	}
}
