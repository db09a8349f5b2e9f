package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rpipe-dev/rpipe/frame"
)

// generated reads rows that need no file: each is computed from its number.
type generated struct {
	schema *frame.Schema
	rows   int64
	done   int64
	frame  func(from, to int64) (frame.Frame, error) // rows [from, to)
	config string                                    // what the rows are computed from
	err    error
}

// rowPosition is where a source without files stands.
type rowPosition struct {
	Row int64 `json:"row"`
}

func openGenerated(s *frame.Schema, rows int64, from string, f func(from, to int64) (frame.Frame, error)) (*generated, error) {
	var at rowPosition
	if from != "" {
		if err := decodePosition(from, &at); err != nil {
			return nil, err
		}
		if at.Row < 0 || at.Row > rows {
			return nil, fmt.Errorf("resume: position %q is outside of the %d rows", from, rows)
		}
	}
	return &generated{schema: s, rows: rows, done: at.Row, frame: f}, nil
}

// Identity is the config: there is no other input.
func (g *generated) Identity() map[string]string { return map[string]string{"rows": g.config} }

func (g *generated) Schema() *frame.Schema { return g.schema }
func (g *generated) Size() Size            { return Size{Rows: g.rows} }
func (g *generated) Traits() Traits        { return Traits{Ordered: true, Replayable: true} }
func (g *generated) Close() error          { g.err = errClosed; return nil }

func (g *generated) Next(ctx context.Context) (*Read, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g.err != nil {
		return nil, g.err
	}
	if g.done == g.rows {
		return nil, io.EOF
	}
	to := min(g.done+frame.Rows, g.rows)
	f, err := g.frame(g.done, to)
	if err != nil {
		g.err = err
		return nil, err
	}
	g.done = to
	pos, err := json.Marshal(rowPosition{to})
	if err != nil {
		return nil, err
	}
	return &Read{Frame: f, Pos: string(pos)}, nil
}
