package rdata

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ref(i int) []byte { return words(int(codeReference) | i<<8) }

// An object cut out of a stream stands alone, and put back it refers to the same.
func TestOpaqueReferences(t *testing.T) {
	const end = int(codeNil)
	environment := func(content ...any) []byte {
		return words(append([]any{4, 0, int(codeGlobalEnv)}, append(content, end, end)...)...)
	}
	cell := func(name []byte, value ...any) []byte {
		return words(append([]any{2 | flagTag, name}, value...)...)
	}
	f := func(list []byte, want ...[]byte) {
		t.Helper()
		v, err := UnmarshalItem(list, nil)
		if err != nil {
			t.Error(err)
			return
		}
		var got [][]byte
		for _, x := range v.(*List).Values {
			if o, ok := x.(*Opaque); ok {
				got = append(got, o.Item)
			} else {
				got = append(got, mustItem(t, x))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
	}

	// list(f, quote(f(x)), quote(x(f))): names become references, and back
	call := words(19, 3, symbol("f"), 6, ref(1), 2, symbol("x"), end, 6, ref(2), 2, ref(1), end)
	f(call,
		symbol("f"),
		words(6, symbol("f"), 2, symbol("x"), end),
		words(6, symbol("x"), 2, symbol("f"), end))
	v, err := UnmarshalItem(call, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustItem(t, v); !bytes.Equal(got, call) {
		t.Errorf("written back:\n%x\n%x", got, call)
	}

	// list(e, e), where e holds itself and the name x, and a use of that name
	self := environment(cell(symbol("x"), ref(1), end))
	f(words(19, 3, self, ref(1), ref(2)), self, self, symbol("x"))

	// list(outer, inner, outer): outer holds inner, which is met first on its own
	inner := environment(cell(symbol("x"), 24, 4, "data", end))
	outer := environment(cell(symbol("i"), inner, end))
	f(words(19, 3, outer, ref(3), ref(1)), outer, inner, outer)

	// list(outer, function in inner that refers to outer): outer's definition
	// holds inner, which is there already, and becomes a reference
	closure := func(env, outer []byte) []byte { return words(3|flagTag, env, end, outer) }
	f(words(19, 2, outer, closure(ref(3), ref(1))),
		outer,
		closure(inner, environment(cell(symbol("i"), ref(1), end))))
}

func TestOpaqueSaysWhatItIs(t *testing.T) {
	class := words(2|flagTag, symbol("class"), 16, 1, int(charASCII), 5, "thing", int(codeNil))
	end := int(codeNil)
	altrep := words(int(codeAltrep), 2, symbol("lazy"), 2, symbol("pkg"), 2, 13, 1, 16, end, 13, 1, 7, end)
	f := func(item []byte, kind Kind, class ...string) {
		t.Helper()
		v, err := UnmarshalItem(item, nil)
		if err != nil {
			t.Error(err)
			return
		}
		o, ok := v.(*Opaque)
		if !ok || o.Kind != kind || !cmp.Equal(Class(v), class) {
			t.Errorf("%v of class %q; want %v, %q", KindOf(v), Class(v), kind, class)
		}
		if got := mustItem(t, v); !bytes.Equal(got, item) {
			t.Errorf("written back:\n%x\n%x", got, item)
		}
	}
	f(words(6|flagObject|flagAttrs, class, symbol("f"), end), KindLanguage, "thing")
	f(words(25|flagObject|flagAttrs|levelS4<<12, class), KindS4, "thing")
	f(words(14|flagObject|flagAttrs|levelS4<<12, 1, 0, 0, class), KindDouble, "thing")
	f(words(4, 1, int(codeEmptyEnv), end, end, class), KindEnvironment, "thing")
	f(words(22|flagObject|flagAttrs, end, end, class), KindExternalPointer, "thing")
	f(words(23), KindWeakReference)
	f(words(8, 3, "sum"), KindBuiltin)
	f(words(int(codeGlobalEnv)), KindEnvironment)
	f(words(int(codeNamespace), 0, 1, int(charASCII), 5, "stats"), KindEnvironment)
	f(words(int(codeMissingArg)), KindSymbol)
	f(words(int(codeUnboundValue)), KindSymbol)
	f(altrep, KindCharacter)
	f(words(2, end, 13, 0), KindPairlist) // a pair that is not a list
}

func TestLongForms(t *testing.T) {
	v, err := UnmarshalItem(words(13, -1, 0, 2, 5, 6), nil)
	if err != nil || !cmp.Equal(v, Value(&Integer{Values: []int32{5, 6}})) {
		t.Errorf("%v, %v", v, err)
	}
	var e Encoder
	e.length(math.MaxInt32)
	e.length(1<<33 + 5)
	e.reference(maxPackedRef)
	e.reference(maxPackedRef + 1)
	if want := words(math.MaxInt32, -1, 2, 5, math.MaxInt32, int(codeReference), 1<<23); !bytes.Equal(e.Buf, want) {
		t.Errorf("%x\nwant %x", e.Buf, want)
	}
	d := &decoder{b: words(int(codeReference), 1<<23), refs: make([]definition, 1<<23)}
	flags, _ := d.word()
	if i, err := d.reference(flags); i != 1<<23-1 || err != nil {
		t.Errorf("reference %d, %v", i, err)
	}
}
