package exchange

import "testing"

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.1.2.3:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "shop.example:1": false, "127.0.0.1": false,
	} {
		if got := Loopback(listen); got != want {
			t.Errorf("%s: %v", listen, got)
		}
	}
}
