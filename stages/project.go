package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Select keeps some columns, in the order given. Columns that R does not
// need are best left out before a map: strings cost R more than anything else.
type Select struct {
	Columns []string `yaml:"columns" required:"true" scalar:"true" doc:"The columns to keep, in the order that they shall have." example:"[carrier, dep_delay]"`
}

// Shorthand lets a list stand for the mapping.
func (Select) Shorthand() string { return "columns" }

// Plan implements Transform.
func (c *Select) Plan(in *frame.Schema) (*frame.Schema, error) {
	return project(in, c.apply)
}

// Build implements Transform.
func (c *Select) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	return eachFrame(c.apply), nil
}

func (c *Select) apply(f frame.Frame) (frame.Frame, error) {
	selected, err := frame.Select(plain(f), c.Columns)
	if err != nil {
		return nil, err
	}
	return withNumbers(selected, numbersOf(f)), nil
}

// Rename gives columns other names.
type Rename struct {
	Columns configs.Pairs `yaml:",inline" required:"true" doc:"Old name to new name." example:"{dep_delay: delay}"`
}

// Plan implements Transform.
func (c *Rename) Plan(in *frame.Schema) (*frame.Schema, error) {
	return project(in, c.apply)
}

// Build implements Transform.
func (c *Rename) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	return eachFrame(c.apply), nil
}

func (c *Rename) apply(f frame.Frame) (frame.Frame, error) {
	names := make(map[string]string, len(c.Columns))
	for _, p := range c.Columns {
		names[p.Name] = p.Value
	}
	return frame.Rename(f, names)
}

// project finds out what apply does to a schema by doing it to a frame without rows.
func project(in *frame.Schema, apply func(frame.Frame) (frame.Frame, error)) (*frame.Schema, error) {
	if in == nil {
		return nil, nil
	}
	f, err := apply(frame.Empty(in))
	if err != nil {
		return nil, err
	}
	return f.Schema(), nil
}

// eachFrame is the stage that replaces each batch's frame by what apply makes
// of it, without touching values.
func eachFrame(apply func(frame.Frame) (frame.Frame, error)) Stage[frame.Frame, frame.Frame] {
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			f, err := apply(b.Value)
			if err != nil {
				return At(b, err)
			}
			if err := Send(ctx, out, WithFrame(b, f)); err != nil {
				return err
			}
		}
	}
}
