package sinks

// dead is never known here.
func (o owner) dead() bool { return false }
