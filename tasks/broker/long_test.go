//go:build long

package broker

import "testing"

func TestManyKills(t *testing.T) { kills(t, 50) }
