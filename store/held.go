package store

// Held is how many bytes of memory the upload holds at this moment. The
// goroutine that writes may call it.
func (u *Upload) Held() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := int64(cap(u.buf)) + int64(int(u.sent)-len(u.done))*int64(u.c.config.PartSize)
	for _, b := range u.free {
		n += int64(cap(b))
	}
	return n
}
