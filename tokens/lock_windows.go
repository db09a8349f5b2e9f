package tokens

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// keepOwner and giveTo have nothing to do: a file in a user's %AppData% is that
// user's.
func keepOwner(*os.File, string) error { return nil }
func giveTo(*os.File, string) error    { return nil }

// replace tries again for a while: Windows does not replace a file that somebody
// reads just now.
func replace(from, to string) error {
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := os.Rename(from, to)
		busy := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if err == nil || !busy || time.Now().After(until) {
			return err
		}
	}
}
