//go:build !long

package index

// killings is how often TestKilled kills.
const killings = 4
