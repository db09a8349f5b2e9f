//go:build long

package blob

const largeBlob = 2 << 30
