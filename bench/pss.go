package bench

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what Linux says of a process's memory, in bytes.
type Memory struct {
	Pss     float64 // private memory, and its share of what others have mapped too
	Private float64
}

// MemoryOf adds up the memory of processes.
func MemoryOf(pids ...int) (sum Memory, err error) {
	for _, pid := range pids {
		f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return sum, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) != 3 || fields[2] != "kB" {
				continue
			}
			kb, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return sum, err
			}
			switch fields[0] {
			case "Pss:":
				sum.Pss += kb * 1024
			case "Private_Clean:", "Private_Dirty:":
				sum.Private += kb * 1024
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
