//go:build cgo && unix

package pipeline

// What tests outside of the package use: those that start a server, which imports it.
var (
	ReadLines  = lines
	NewWorkers = workers
)
