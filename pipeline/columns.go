package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
)

// checkColumns follows the columns of the open source through the stages, as
// check does: a name that is misspelt in the last stage must not be found out
// when all the others have done their work.
func (r *Run) checkColumns(ctx context.Context) error {
	if r.resumed.Phase == journal.Publishing {
		return nil
	}
	p := &Plan{from: -1}
	p.planGraph(ctx, r.file, r.reader.Schema())
	found := p.problems.Errors()
	if len(found) == 0 {
		return nil
	}
	first := found[0]
	text := first.Message
	if n := len(found) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more: rpipe check shows them)", n)
	}
	return &ConfigError{File: r.file.Path, At: configs.Position{Line: first.Line, Column: first.Column}, Path: first.Path, Err: errors.New(text)}
}
