// Package pipelines runs pipeline files inside of a server: those of a directory, which is
// read again when files change. It gives them to the keeper of schedules, does their runs,
// and tells how they stand. Package server is its user.
//
// What is promised: a file with an error keeps no other from running, and has its version
// of before run on. A run that died with its server goes on where its record ends, and
// one that is repeated for its time replaces what it has written. Whatever happens in a
// run, the server goes on.
package pipelines
