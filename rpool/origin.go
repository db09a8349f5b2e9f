package rpool

// origin is one template process and the workers that came from it, which may
// outlive it. Closing a template kills what is left of its process group, so it
// is closed when the last of its workers has gone.
type origin struct {
	t       template
	crew    *crew
	workers int  // up, leaving or being started
	ended   bool // makes no more workers
	done    chan struct{}
}

// end says that o makes no more workers; its template is closed when the last
// one has gone. p.mu is held.
func (p *Pool) end(o *origin) {
	if o == nil {
		return
	}
	o.ended = true
	if o.workers == 0 {
		select {
		case <-o.done:
		default:
			close(o.done)
		}
	}
}

// keep owns a template: it notices its death and closes it in the end.
func (p *Pool) keep(o *origin) {
	select {
	case <-o.t.Exited():
		p.mu.Lock()
		if c := o.crew; c.origin == o {
			c.origin = nil
			p.delay(c, c.crashes.fail())
			p.o.Log.Warn("R template ended unexpectedly, and no standby is there; another will be started when it is needed", "environment", c.key, "pid", o.t.Pid())
		}
		p.end(o)
		p.schedule()
		p.mu.Unlock()
		<-o.done
	case <-o.done:
	}
	o.t.Close()
}
