// Package estate runs a whole rpipe serve as a machine would: schedules each second,
// tasks, a plumber API and a pipeline in one process, a supervisor that starts it anew,
// and everything going wrong: R workers and the server itself are killed with -9, and
// for a while the disk is full.
//
// What is held: each scheduled time was fired as its policy says, exactly once; no task
// is lost, and each has the right value; the rows that the pipeline wrote are there once;
// no page of the dashboard and no answer of the API is an error but while the server is
// down, or where a kill excuses it; in the end memory and descriptors are flat, and
// neither a process nor a file is left.
//
// make soak takes a minute of it, make test-long ten; an hour is
//
//	go test -tags soak ./internal/soak/estate -for 1h -timeout 2h -v
package estate
