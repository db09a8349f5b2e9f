package configs

import (
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	f := func(text string, want Size) {
		t.Helper()
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	f("0", 0)
	f("4096", 4096)
	f("12B", 12)
	f("64kB", 64_000)
	f("64KiB", 64<<10)
	f("16MB", 16_000_000)
	f("16MiB", 16<<20)
	f("16 MiB", 16<<20)
	f("1.5GB", 1_500_000_000)
	f("1.5GiB", 3<<29)
	f("0.5KiB", 512)
	f("2TB", 2e12)
	f("2TiB", 2<<40)
	f("1.0", 1)
	f("9223372036854775807", math.MaxInt64)
	f("0.001kB", 1)

	fails := func(text, want string) {
		t.Helper()
		if got, err := ParseSize(text); err == nil || err.Error() != want {
			t.Errorf("ParseSize(%q) = %d, %v, want error %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "B", "x", "64k", "64m", "64K", "64KB", "64mib", "16MIB", "-1", "+1", "1e3",
		"1.B", ".5kB", "1_000", "0x10", "1  MiB", " 1MiB", "1MiB ", "1.2.3MB", "1/2", "1,5MB", "NaN", "１MB"} {
		fails(text, "is not a size")
	}
	fails("1.5", "is not a whole number of bytes")
	fails("0.0001kB", "is not a whole number of bytes")
	fails("9223372036854775808", "is too large for a size")
	fails("9999999TiB", "is too large for a size")
}

func TestSizeString(t *testing.T) {
	f := func(s Size, want string) {
		t.Helper()
		if got := s.String(); got != want {
			t.Errorf("Size(%d) is %s, want %s", int64(s), got, want)
		}
	}
	f(0, "0")
	f(1, "1")
	f(1000, "1kB")
	f(1024, "1KiB")
	f(1025, "1025")
	f(16<<20, "16MiB")
	f(1_500_000_000, "1500MB")
	f(5e12, "5TB")
	f(1024000, "1000KiB")
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"0", "16MiB", "1.5GB", "64k", "9223372036854775807", "0.000000001TB", "1e9", "-1B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSize(text)
		if err != nil {
			return
		}
		if s < 0 {
			t.Fatalf("%q gives %d", text, int64(s))
		}
		if again, err := ParseSize(s.String()); again != s || err != nil {
			t.Fatalf("%q is %d, written %s, read again %d, %v", text, int64(s), s, int64(again), err)
		}
	})
}
