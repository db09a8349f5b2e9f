package rpool

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// residentBytes is the memory of a process that is in RAM now; 0 when it is gone.
func residentBytes(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// privateBytes is the part of residentBytes that no other process has mapped;
// known is false where the kernel does not tell, or the process is gone. It walks
// the page table, which takes about 2 ms for 100 MB.
func privateBytes(pid int) (n int64, known bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 2 || !bytes.HasPrefix(f[0], []byte("Private_")) {
			continue
		}
		kib, err := strconv.ParseInt(string(f[1]), 10, 64)
		if err != nil {
			return 0, false
		}
		n, known = n+kib<<10, true
	}
	return n, known
}

// peakBytes is the most that residentBytes has been for a process.
func peakBytes(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(b, []byte("VmHWM:"))
	if f := bytes.Fields(rest); found && len(f) > 0 {
		kib, _ := strconv.ParseInt(string(f[0]), 10, 64)
		return kib << 10
	}
	return 0
}

// cpuTime is the processor time that a process and its ended children have taken,
// to a hundredth of a second; 0 when it is gone.
func cpuTime(pid int) (d time.Duration) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // its name may hold anything
	for i := 11; i < 15 && i < len(f); i++ {             // fields 14 to 17 of proc(5)
		ticks, _ := strconv.ParseInt(string(f[i]), 10, 64)
		d += time.Duration(ticks) * (time.Second / 100)
	}
	return d
}

// oomKills counts how often the kernel has killed a process of this process's
// cgroup for want of memory (memory.events, cgroup v2); 0 where it cannot tell.
func oomKills() int64 {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		path, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("0::"))
		if !ok {
			continue
		}
		events, err := os.ReadFile("/sys/fs/cgroup" + string(path) + "/memory.events")
		if err != nil {
			return 0
		}
		for line := range bytes.Lines(events) {
			if n, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
				kills, _ := strconv.ParseInt(string(bytes.TrimSpace(n)), 10, 64)
				return kills
			}
		}
	}
	return 0
}
