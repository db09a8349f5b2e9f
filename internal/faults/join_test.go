//go:build unix

package faults

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// cable makes a join file that leads to the server through a cable.
func (s *stage) cable(join, through string) *cable {
	s.t.Helper()
	j, err := broker.ParseJoin(filepath.Join(s.dir, join))
	if err != nil {
		s.t.Fatal(err)
	}
	c := newCable(s.t, strings.TrimPrefix(j.URLs[0], "tls://"))
	j.URLs = []string{"tls://" + c.listener.Addr().String()}
	if err := os.WriteFile(filepath.Join(s.dir, through), []byte(j.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return c
}
