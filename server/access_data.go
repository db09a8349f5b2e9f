package server

import (
	"fmt"
	"os"
	"runtime"
)

// closeData keeps others out of the data directory, which has everybody's values and the
// keys of workers: one that was made by hand, or by another program, is open to them.
func (s *Server) closeData() error {
	info, err := os.Stat(s.data)
	if err != nil {
		return fmt.Errorf("the data directory: %w", err)
	}
	open := info.Mode().Perm() & 0o077
	if open == 0 || runtime.GOOS == "windows" {
		return nil
	}
	if err := os.Chmod(s.data, 0o700); err != nil {
		s.log.Warn("others on this machine can look into the data directory, and it cannot be closed to them: chmod 700 it as its owner", "dir", s.data, "mode", info.Mode().Perm().String(), "error", err)
		return nil
	}
	s.log.Warn("the data directory was open to others on this machine, and is closed to them now", "dir", s.data, "mode", info.Mode().Perm().String())
	return nil
}
