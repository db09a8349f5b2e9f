// Package repo tests the repository itself: how packages are laid out and import
// each other, that generated pages are up to date, that the examples run, and
// that what the documentation shows is true. It holds no code of its own.
package repo
