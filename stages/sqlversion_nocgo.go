//go:build !cgo

package stages

// SQLVersion names the SQL engine that filter and derive use.
func SQLVersion() string { return "none: built without cgo" }
