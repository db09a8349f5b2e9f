package tables

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// given is a source of frames that a test has made. It is complete when it has
// been read to its end once.
type given struct {
	Name   string `yaml:"name"`
	frames []frame.Frame
	schema *frame.Schema
	opened *int
	late   bool // the schema is not known before the first read
}

func (g *given) Open(context.Context, *stages.Env, string) (sources.Reader, error) {
	if g.opened != nil {
		*g.opened++
	}
	return &givenReader{g, 0}, nil
}

type givenReader struct {
	*given
	at int
}

func (r *givenReader) Schema() *frame.Schema {
	if r.late && r.at == 0 {
		return nil
	}
	return r.schema
}
func (r *givenReader) Size() sources.Size { return sources.Size{} }
func (r *givenReader) Close() error       { return nil }
func (r *givenReader) Traits() sources.Traits {
	return sources.Traits{Ordered: true, Replayable: true}
}
func (r *givenReader) Identity() map[string]string {
	return map[string]string{r.Name: fmt.Sprint(len(r.frames))}
}

func (r *givenReader) Next(context.Context) (*sources.Read, error) {
	if r.at == len(r.frames) {
		return nil, io.EOF
	}
	r.at++
	return &sources.Read{Frame: r.frames[r.at-1]}, nil
}

// from is a dataset of frames.
func from(frames ...frame.Frame) Dataset {
	return Dataset{Use: &given{Name: "given", frames: frames, schema: frames[0].Schema()}}
}

// testEnv is the environment of a run in a directory.
func testEnv(t testing.TB, dir string) *stages.Env {
	env := (&stages.Env{Dir: dir, Temp: t.TempDir() + "/run", Parallel: 3, Memory: 64 << 20, Log: slog.New(slog.DiscardHandler)}).For("stage")
	t.Cleanup(env.Close)
	return env
}

// passed sends frames, each a batch of an epoch of its own, through a stage and
// returns what comes out. It checks that every read is settled.
func passed(t testing.TB, env *stages.Env, tr stages.Transform, frames ...frame.Frame) ([]*stages.Rows, error) {
	t.Helper()
	stage, err := tr.Build(env)
	if err != nil {
		return nil, err
	}
	ledger := stages.NewLedger(0, 1)
	source := func(soft, hard context.Context, out chan<- *stages.Rows) error {
		first := int64(0)
		for i, f := range frames {
			if err := ledger.CutWait(hard); err != nil {
				return err
			}
			o, err := ledger.Open(hard, fmt.Sprint(i+1), f.NumRows(), 1)
			if err != nil {
				return err
			}
			b := &stages.Rows{Value: f, Rows: int(f.NumRows()), Seq: uint64(i), First: first, Epoch: o.Epoch(), Origins: []*stages.Origin{o}}
			first += f.NumRows()
			if err := stages.Send(hard, out, b); err != nil {
				return err
			}
		}
		return nil
	}
	var got []*stages.Rows
	run := stages.NewRun(t.Context())
	done, committed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(committed)
		for {
			select {
			case <-ledger.Settled():
				ledger.Committed()
			case <-done:
				return
			}
		}
	}()
	edge := stages.From(run, "source", 1, source)
	stages.To(run, "sink", stages.Then(run, "stage", 1, edge, stage), func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			if int64(b.Rows) != b.Value.NumRows() {
				t.Errorf("a batch of %d rows says %d", b.Value.NumRows(), b.Rows)
			}
			got = append(got, b)
			b.Settle(nil)
		}
	})
	err = run.Wait()
	close(done)
	<-committed
	if at, open := ledger.Frontier(); err == nil && len(frames) > 0 && (open != 0 || at != fmt.Sprint(len(frames))) {
		t.Errorf("%d reads are open, the frontier is %q", open, at)
	}
	return got, err
}

// whole is the frame of all batches.
func whole(t testing.TB, batches []*stages.Rows) frame.Frame {
	t.Helper()
	frames := make([]frame.Frame, len(batches))
	for i, b := range batches {
		frames[i] = b.Value
	}
	f, err := frame.Concat(frames...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// lines are the rows of a frame as text, missing values as NA.
func lines(f frame.Frame) []string {
	out := make([]string, f.NumRows())
	for i := range out {
		var line []byte
		for k, a := range f.Columns() {
			if k > 0 {
				line = append(line, ' ')
			}
			line = frame.AppendText(line, a, i, frame.TextOptions{Null: "NA"})
		}
		out[i] = string(line)
	}
	return out
}

// schema makes one of fields like "id int32".
func schema(fields ...string) *frame.Schema {
	out := make([]arrow.Field, len(fields))
	for i, text := range fields {
		var name, kind string
		fmt.Sscan(text, &name, &kind)
		f, err := frame.ParseType(kind)
		if err != nil {
			panic(err)
		}
		f.Name = name
		out[i] = f
	}
	return arrow.NewSchema(out, nil)
}

// table makes a frame of rows of words, of which NA is missing.
func table(s *frame.Schema, rows ...string) frame.Frame {
	b := frame.NewBuilder(s)
	for _, r := range rows {
		for k, word := range strings.Fields(r) {
			if word == "NA" {
				b.Column(k).AppendNull()
			} else if !b.Column(k).ParseText([]byte(word)) {
				panic(word + " is not of its type")
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}
