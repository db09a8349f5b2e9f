//go:build !linux

package server

import "net/http"

// peerUser does not know whose process is at the other end: everybody on this machine
// counts as its owner.
func peerUser(*http.Request) (uid int, known bool) { return 0, false }
