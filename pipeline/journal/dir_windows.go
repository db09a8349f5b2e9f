package journal

// Runs do not work on Windows; only what looks at the state does.
func syncDir(string) error { return nil }

func mayWrite(string) error { return nil }
