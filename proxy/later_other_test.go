//go:build !unix

package proxy

func serveUntilKilled() {}
