// Package failpoint lets crash tests kill the process at a named place. It does
// something only in a binary built with -tags failpoint.
package failpoint
