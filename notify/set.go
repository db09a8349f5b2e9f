package notify

import "reflect"

// Set replaces the targets. What waits for one that is changed goes where that leads now,
// and what waits for one that is gone is dropped, which is logged. An error changes nothing.
func (n *Notifier) Set(targets map[string]Target) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	next := make(map[string]*sender, len(targets))
	for name, t := range targets {
		n.mu.RLock()
		was := n.targets[name]
		n.mu.RUnlock()
		if was != nil && reflect.DeepEqual(was.target, t) {
			next[name] = was
			continue
		}
		s, err := newSender(name, t, n)
		if err != nil {
			return err
		}
		next[name] = s
	}
	n.mu.Lock()
	before := n.targets
	n.targets = next
	n.mu.Unlock() // nobody adds to those of before any more
	for name, was := range before {
		s := next[name]
		if s == was {
			continue
		}
		was.stop()
		<-was.done
		was.client.CloseIdleConnections()
		if s != nil {
			s.takeOver(was)
			continue
		}
		for _, l := range was.queue {
			n.log.Warn("a notification is dropped: its target is gone", "target", name, "event", l.Message.Kind, "schedule", l.Message.Schedule, "run", l.Message.Run)
			n.drop(l)
		}
	}
	for name, s := range next {
		if before[name] != s {
			s.start()
		}
	}
	return nil
}

// takeOver has s, which has not started, deliver what another one has not.
func (s *sender) takeOver(was *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(was.queue, s.queue...)
	s.stats = was.stats
}
