//go:build unix && !linux

package rpool

import (
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// residentBytes is the memory of a process that is in RAM now; 0 when it is gone.
func residentBytes(pid int) int64 {
	b, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	kib, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return kib << 10
}

// privateBytes is not to be had here.
func privateBytes(int) (n int64, known bool) { return 0, false }

// peakBytes is not to be had for another process here; what it has now is.
func peakBytes(pid int) int64 { return residentBytes(pid) }

// cpuTime is the processor time that a process has taken: minutes, seconds and
// hundredths.
func cpuTime(pid int) time.Duration {
	b, err := exec.Command("ps", "-o", "time=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	var seconds float64
	for part := range strings.SplitSeq(strings.TrimSpace(string(b)), ":") {
		n, _ := strconv.ParseFloat(part, 64)
		seconds = 60*seconds + n
	}
	return time.Duration(seconds * float64(time.Second))
}

func oomKills() int64 { return 0 }
