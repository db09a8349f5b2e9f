//go:build unix

package rpool

import (
	"errors"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// What no R string can hold is told before R is troubled, by its name.
func TestTextThatRCannotHold(t *testing.T) {
	f := func(err, want error, says string) {
		t.Helper()
		if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q and %q", err, says, want)
		}
	}
	data := item(t, dataFrame("x", 1))
	f((&Request{Kind: Map, Fun: "f\x00g", Data: data}).check(), rdata.ErrNUL, `function name "f\x00g"`)
	f((&Request{Kind: Map, Fun: "f\xff", Data: data}).check(), rdata.ErrUTF8, `function name "f\xff"`)
	if err := (&Request{Kind: Map, Fun: "größe", Data: data}).check(); err != nil {
		t.Error(err)
	}

	f((&Environment{Packages: []string{"a", "b\xff"}}).check(), rdata.ErrUTF8, `package "b\xff"`)
	f((&Environment{Sources: []string{"m\x00.R"}}).check(), rdata.ErrNUL, `source "m\x00.R"`)
	f((&Environment{Options: map[string]string{"o": "\xff"}}).check(), rdata.ErrUTF8, `value of option "o"`)
	f((&Environment{Setup: "x <- '\x00'"}).check(), rdata.ErrNUL, "setup")
	f((&Environment{AfterFork: "\xff"}).check(), rdata.ErrUTF8, "after_fork")
	if err := (&Environment{Sources: []string{"modèle.R"}, Setup: "1"}).check(); err != nil {
		t.Error(err)
	}

	// and, if it should come so far, before it is sent
	var e rdata.Encoder
	f(encodeRequest(&e, &Request{Kind: Map, Fun: "f\xff", Data: data}).err, rdata.ErrUTF8, "request")
	f(encodeFork(&e, "/tmp/\xff", "nonce", 1, "", "").err, rdata.ErrUTF8, "request")
	f(encodeLoad(&e, &Environment{}, 1, []string{"p\x00"}).err, rdata.ErrNUL, "request")
	f(encodeTry(&e, "\x00").err, rdata.ErrNUL, "request")
	if s := encodeTry(&e, "1"); s.err != nil {
		t.Errorf("the error of an earlier request stays: %v", s.err)
	}
}

func TestAWorkerThatRefusesARequestLivesOn(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	if _, err := p.Do(t.Context(), &Request{Kind: Map, Fun: "f\x00", Data: item(t, dataFrame("x", 1))}); !errors.Is(err, rdata.ErrNUL) {
		t.Errorf("got %v", err)
	}
	if _, _, err := p.ask(t.Context(), frameTry, encodeTry(&rdata.Encoder{}, "\xff")); !errors.Is(err, rdata.ErrUTF8) {
		t.Errorf("got %v", err)
	}
	if got := printed(t, p, `cat("here")`); got != "here" {
		t.Errorf("then it says %q", got)
	}
}
