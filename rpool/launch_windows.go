package rpool

import (
	"context"
	"errors"
)

// launch says that there are no R pools here.
func launch(context.Context, *Environment, *Options) (template, error) {
	return nil, errNoPools
}

func launchAsking(context.Context, *Environment, *Options, []string) (template, *loaded, error) {
	return nil, nil, errNoPools
}

var errNoPools = &StartError{
	Step: "start R", Err: errors.New("pools of R processes need Linux or macOS"),
	Hint: "on Windows, run rpipe in WSL",
}
