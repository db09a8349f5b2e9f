//go:build !long

package soak

import "time"

const (
	lasts       = 20 * time.Second
	killEvery   = 1500 * time.Millisecond
	reloadEvery = 3 * time.Second
)
