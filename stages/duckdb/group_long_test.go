//go:build cgo && long

package duckdb

import "testing"

// 4 million rows in a million groups, in a fraction of the memory they need.
func TestAMillionGroupsSpill(t *testing.T) { groupsSpill(t, 1_000_003, 96<<20, "max(s)") }
