package rpool

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// mayRaise reports whether this process may raise a scheduling priority again.
// Capabilities, RLIMIT_NICE, user namespaces and seccomp all have a say, so it
// tries, with a thread of its own.
var mayRaise = sync.OnceValue(func() bool {
	answer := make(chan bool, 1)
	go tryRaise(answer)
	return <-answer
})

// tryRaise lowers and raises the priority of its thread, which ends with the
// goroutine where it could not be raised.
func tryRaise(answer chan<- bool) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread cannot end, and stands for the process in ps: hold it
		// so that another attempt gets another thread.
		defer runtime.UnlockOSThread()
		another := make(chan bool, 1)
		go tryRaise(another)
		answer <- <-another
		return
	}
	ok := unix.Setpriority(unix.PRIO_PROCESS, 0, bulkNice) == nil &&
		unix.Setpriority(unix.PRIO_PROCESS, 0, 0) == nil
	if ok {
		runtime.UnlockOSThread()
	}
	answer <- ok
}
