package index

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// feedForTest makes this program one that feeds the index at its value, until it is killed.
const feedForTest = "RPIPE_INDEX_FEED"

func TestMain(m *testing.M) {
	if path := os.Getenv(feedForTest); path != "" {
		if err := feedUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
