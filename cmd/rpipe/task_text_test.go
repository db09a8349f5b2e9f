package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestRowWriter: rows come in pieces, and leave as lines that fit.
func TestRowWriter(t *testing.T) {
	f := func(width int, want string, pieces ...string) {
		t.Helper()
		var b strings.Builder
		w := &rowWriter{to: &b, width: width}
		for _, p := range pieces {
			if n, err := fmt.Fprint(w, p); err != nil || n != len(p) {
				t.Fatal(n, err)
			}
		}
		if b.String() != want {
			t.Errorf("%q at %d: %q, and not %q", pieces, width, b.String(), want)
		}
	}
	f(0, "a  b\nlonger line\n", "a ", " b   \nlon", "ger line  \n")
	f(6, "a  b\nlonge…\n", "a  b  \n", "longer line\n")
	f(6, "日本語日本語\n", "日本語日本語\n")
}

// TestPlain: what anybody may have written does not steer a terminal.
func TestPlain(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := plain(in); got != want {
			t.Errorf("%q: %q, and not %q", in, got, want)
		}
	}
	f("é\tü\n", "é\tü\n")
	f("\x1b[31mred\x1b[0m", "red")
	f("\x1b[2Jgone", "\ufffd[2Jgone")
	f("bell\a\u009b1m", "bell\ufffd\ufffd1m")
	if got := cell("a\nb\tc"); got != "a b c" {
		t.Error(got)
	}
}

func TestMemory(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 900: "900 B", 1536: "1.5 KiB", 68316 << 10: "67 MiB", 3 << 30: "3.0 GiB"} {
		if got := memory(n); got != want {
			t.Errorf("%d: %s, and not %s", n, got, want)
		}
	}
}
