package journal

import "os"

// Runs do not work on Windows; only what looks at the state does.
func lockFile(*os.File) error { return nil }

func syncDir(string) error { return nil }

func mayWrite(string) error { return nil }
