//go:build unix

package rpool

import (
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestUTF8Locale(t *testing.T) {
	f := func(want bool, environ ...string) {
		t.Helper()
		if utf8Locale(environ) != want {
			t.Errorf("%q: want %v", environ, want)
		}
	}
	f(false)
	f(false, "LANG=C")
	f(true, "LANG=en_US.UTF-8")
	f(true, "LANG=C", "LC_CTYPE=de_DE.utf8")
	f(false, "LANG=en_US.UTF-8", "LC_ALL=POSIX")
	f(true, "LANG=en_US.UTF-8", "LC_ALL=")
}

// R works in UTF-8 and UTC wherever it is started from; an environment may say
// otherwise.
func TestRSeesUTF8AndUTC(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	t.Setenv("TZ", "Asia/Kathmandu")
	f := func(env *Environment, code, want string) {
		t.Helper()
		w := started(t, launched(t, env, nil))
		reply, err := w.Do(t.Context(), &Request{Kind: Call, Data: item(t, &rdata.List{Values: []rdata.Value{
			text("f"), &rdata.List{},
		}})})
		if err != nil {
			t.Fatal(err)
		}
		v, err := rdata.UnmarshalItem(reply.Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := v.(*rdata.Character).At(0); got != want {
			t.Errorf("%s: got %q, want %q", code, got, want)
		}
	}
	code := `f <- function() paste(toupper("\u00e4"), nchar("\u00e4"), format(as.POSIXct(0, origin = "1970-01-01"), "%H:%M %Z"))`
	f(&Environment{Setup: code}, code, "Ä 1 00:00 UTC")
	f(&Environment{Setup: code, Env: []string{"TZ=Europe/Berlin"}}, code, "Ä 1 01:00 CET")
}
