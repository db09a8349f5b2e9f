//go:build long

package soak

import "time"

const (
	lasts       = 10 * time.Minute
	killEvery   = 2 * time.Second
	reloadEvery = 7 * time.Second
)
