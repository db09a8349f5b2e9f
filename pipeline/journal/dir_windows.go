package journal

// Runs do not work on Windows; only what looks at the state does.
func mayWrite(string) error { return nil }
