package rpool

import (
	"context"
	"errors"
)

// launch stands in until the process layer brings the real one: whoever adds
// that removes this file.
func launch(context.Context, *Environment, *Options) (template, error) {
	return nil, &StartError{Step: "launch", Err: errors.New("the process layer is not in this build")}
}
