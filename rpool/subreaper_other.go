//go:build unix && !linux

package rpool

// becomeSubreaper does nothing: orphans go to init here, which reaps them.
func becomeSubreaper() error { return nil }

func reapStrangers() {}

func onlyZombies(int) bool { return false }
