package rdata

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// allocated is how many bytes f makes, whether they are freed again or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A few bytes that claim to be large must not make much memory.
func TestMemoryIsProportional(t *testing.T) {
	environment := words(4, 0, int(codeEmptyEnv), int(codeNil), int(codeNil), 2|flagTag, symbol("x"), 24, 1<<20, make([]byte, 1<<20), int(codeNil))
	list := words(19, 2001, environment)
	for range 2000 {
		list = append(list, words(int(codeReference)|1<<8)...)
	}
	name := words(19, 2001, symbol(strings.Repeat("n", 1<<20)))
	for range 2000 {
		name = append(name, words(6, int(codeReference)|1<<8, int(codeNil))...)
	}
	for _, item := range [][]byte{list, name, words(19, 1<<29), words(16, 1<<28), words(14, -1, 1000, 0)} {
		lim := &Limits{MaxExpand: 16 << 20}
		var err error
		got := allocated(func() { _, err = UnmarshalItem(item, lim) })
		if err == nil {
			t.Error("no error")
		}
		if got > 100<<20 {
			t.Errorf("%v: allocated %d MiB of %d KiB input", err, got>>20, len(item)>>10)
		}
	}
}

// Lists within lists share what is left of the input: each could claim it.
func TestNestedListsClaimNoMoreThanThereIs(t *testing.T) {
	const size, depth = 1 << 20, 900
	// nest is lists whose first elements are the next list, by what lies between.
	nest := func(share int, between ...any) []byte {
		b := AppendHeader(nil)
		link := words(between...)
		for range depth {
			left := size - len(b) - 8
			b = append(b, words(int(KindList), left/share)...)
			b = append(b, link...)
		}
		return append(b, make([]byte, size-len(b))...)
	}
	for name, stream := range map[string][]byte{
		"a quarter of what is left": nest(4),
		"a little of what is left":  nest(64),
		"within pairlists":          nest(4, int(KindPairlist)),
		"within attributes":         nest(4, int(KindInteger)|flagAttrs, 0, int(KindPairlist)|flagTag, symbol("x")),
	} {
		read := map[string]func() error{
			"memory": func() error { _, err := Unmarshal(stream, nil); return err },
			"reader": func() error { _, err := Decode(bytes.NewReader(stream), nil); return err },
		}
		for from, f := range read {
			var err error
			got := allocated(func() { err = f() })
			if syntax := (*SyntaxError)(nil); !errors.As(err, &syntax) {
				t.Errorf("%s from %s: %v; want a *SyntaxError", name, from, err)
			}
			if got > 64<<20 {
				t.Errorf("%s from %s: allocated %d MiB of %d KiB input", name, from, got>>20, len(stream)>>10)
			}
		}
	}
}

// What lists of every depth hold between them may be all of the input.
func TestNestedListsFillTheInput(t *testing.T) {
	var v Value = Null{}
	for range 100 {
		v = &List{Values: []Value{v, Null{}, v}[:2]}
	}
	if _, err := UnmarshalItem(mustItem(t, v), nil); err != nil {
		t.Error(err)
	}
}

// An ALTREP object is read again where it stays Opaque. Were what it holds read
// again with it, each further level would double the time.
func TestNestedAltrepIsReadOnce(t *testing.T) {
	const depth = 2000
	end := int(codeNil)
	class := func(name, pkg string) []byte {
		return words(2, symbol(name), 2, symbol(pkg), 2, int(KindInteger), 1, int(KindList), end)
	}
	f := func(open, shut []byte, want string) {
		t.Helper()
		item := append(bytes.Repeat(open, depth), words(int(KindNull))...)
		item = append(item, bytes.Repeat(shut, depth)...)
		var err error
		got := allocated(func() { _, err = UnmarshalItem(item, nil) })
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v; want %q", err, want)
		case got > 64<<20:
			t.Errorf("allocated %d MiB of %d KiB input", got>>20, len(item)>>10)
		}
	}
	f(words(int(codeAltrep), 2, symbol("a"), 2, symbol("b"), 2), words(end, end, end), "class of an ALTREP object")
	f(words(int(codeAltrep), class("lazy", "pkg")), words(end), "")
	f(words(int(codeAltrep)|levelS4<<12, class("wrap_list", "base"), int(KindPairlist)), words(end, end), "")
}
