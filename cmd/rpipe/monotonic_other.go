//go:build !linux

package main

// reloading is what a supervisor is told when a reload begins; there is none here.
func reloading() string { return "RELOADING=1" }
