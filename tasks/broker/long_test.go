//go:build long

package broker

import "testing"

func TestManyKills(t *testing.T) { kills(t, 50) }

// TestClusterOutlivesManyKills: ten thousand tasks, six killed nodes.
func TestClusterOutlivesManyKills(t *testing.T) { nodeKills(t, 6, 10000) }
