package server

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/front"
)

// openFront takes the address.
func (s *Server) openFront() error {
	s.metrics = metrics.New()
	s.metrics.SetVersion(s.version)
	s.meters = newMeters()
	s.access.denied = s.meters.denied
	for _, m := range append(s.meters.all(), &collector{s}) {
		if err := s.metrics.Prometheus().Register(m); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	s.recorder = admin.NewRecorder(0)
	if err := s.metrics.Prometheus().Register(s.recorder); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var err error
	s.front, err = front.New(s.file.Listen.front(), front.Deps{
		Tracer: s.tracer, Untraced: untraced,
		Log: s.log, Access: s.file.Log, Dir: s.file.Dir(), TempDir: s.data, Observer: observer{s.meters, s.recorder}, Tokens: s.verifier(),
	})
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
