// Package soak runs a real rpipe proxy under load while everything goes wrong at
// once: R workers, templates and their standbys are killed with -9, the code of the
// API is replaced by better and by broken code, clients send too slowly, read too
// slowly and hang up.
//
// What is held: every request of a client that behaves has an HTTP answer, and
// the right one. A request that may be repeated never sees a death; one that may
// not sees 502, at most once for each kill. An answer never comes from older code
// than the one before it. Memory and descriptors stay flat, and after SIGTERM no
// process and no file is left.
//
// What is not done: to kill a template and its standby at the same time.
//
// The tests take some seconds, with -tags long ten minutes:
//
//	go test -tags long ./internal/soak -timeout 30m -v
package soak
