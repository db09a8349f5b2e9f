//go:build !long

package blob

const largeBlob = 100 << 20
