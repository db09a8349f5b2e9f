//go:build !long

package store_test

import (
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
)

// servers are those that the tests of the protocol run against.
func servers(t testing.TB) []*s3test.Server {
	return []*s3test.Server{s3test.Start(t)}
}
