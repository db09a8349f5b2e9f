package index

import (
	"crypto/rand"
	"os"
	"strings"
)

// bootID changes when the system starts.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return rand.Text() // as if it had been started again
	}
	return strings.TrimSpace(string(b))
}
