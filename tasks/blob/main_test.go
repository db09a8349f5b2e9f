package blob

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The child holds a file of the cache, or writes one, until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BLOB_TEST_CACHE"); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
