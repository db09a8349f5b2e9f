package main

import (
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// optionalDuration is the value of a flag; 0 where it was not given.
func optionalDuration(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := configs.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("--%s %q %w: say 30s, 10m or 2h", flag, text, err)
	}
	return time.Duration(d), nil
}

// optionalSize is the value of a flag; nil where it was not given.
func optionalSize(flag, text string) (*configs.Size, error) {
	if text == "" {
		return nil, nil
	}
	n, err := configs.ParseSize(text)
	if err != nil {
		return nil, fmt.Errorf("--%s %q: %w", flag, text, err)
	}
	return &n, nil
}
