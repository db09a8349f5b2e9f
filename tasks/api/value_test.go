package api

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestValues(t *testing.T) {
	f := func(in string, want Value) {
		t.Helper()
		var v Value
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if string(v.JSON) != string(want.JSON) || string(v.R) != string(want.R) || v.Ref != want.Ref || v.Task != want.Task {
			t.Errorf("%s: %+v", in, v)
		}
		out, err := json.Marshal(v)
		if err != nil || string(out) != in {
			t.Errorf("%s came back as %s, %v", in, out, err)
		}
	}
	plain := func(in string) { t.Helper(); f(in, Value{JSON: []byte(in)}) }
	plain(`1`)
	plain(`null`)
	plain(`"x"`)
	plain(`[1,2]`)
	plain(`{"a":1}`)
	plain(`{"$ref":"x","b":1}`) // two keys: a value
	plain(`{"$other":1}`)
	f(`{"$r":"WAo="}`, Value{R: []byte("X\n")})
	f(`{"$ref":"abc"}`, Value{Ref: "abc"})
	f(`{"$task":"01"}`, Value{Task: "01"})
	for _, bad := range []string{`{"$r":1}`, `{"$r":"%"}`, `{"$ref":""}`, `{"$task":null}`} {
		if err := json.Unmarshal([]byte(bad), new(Value)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestArguments(t *testing.T) {
	f := func(in, want string, names ...string) {
		t.Helper()
		var a Args
		if err := json.Unmarshal([]byte(in), &a); err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if len(a) != len(names) {
			t.Errorf("%s: %+v", in, a)
			return
		}
		for i := range a {
			if a[i].Name != names[i] {
				t.Errorf("%s: argument %d is %q", in, i, a[i].Name)
			}
		}
		if out, err := json.Marshal(a); err != nil || string(out) != want {
			t.Errorf("%s came back as %s, %v", in, out, err)
		}
	}
	f(`[]`, `[]`)
	f(`null`, `[]`)
	f(`[1,"x"]`, `[1,"x"]`, "", "")
	f(`{"b":1,"a":{"$task":"t"}}`, `{"b":1,"a":{"$task":"t"}}`, "b", "a") // R's order is the order here
	f(`{"..1":1,"a":2}`, `{"..1":1,"a":2}`, "", "a")
	f(`{"..x":1}`, `{"..x":1}`, "..x")
	for _, bad := range []string{`1`, `"x"`, `{"a":1,"a":2}`, `{"a":{"$r":3}}`} {
		if err := json.Unmarshal([]byte(bad), new(Args)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestDurationsAndSizes(t *testing.T) {
	f := func(in string, want time.Duration, out string) {
		t.Helper()
		var d Duration
		if err := json.Unmarshal([]byte(in), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", in, time.Duration(d), err)
		}
		if text, err := json.Marshal(d); err != nil || string(text) != out {
			t.Errorf("%s: %s, %v", in, text, err)
		}
	}
	f(`90`, 90*time.Second, `90`)
	f(`0.25`, 250*time.Millisecond, `0.25`)
	f(`"1h30m"`, 90*time.Minute, `5400`)
	for _, bad := range []string{`-1`, `"x"`, `[]`, `1e300`} {
		if json.Unmarshal([]byte(bad), new(Duration)) == nil {
			t.Errorf("duration %s is taken", bad)
		}
	}
	var s Size
	if err := json.Unmarshal([]byte(`"64MiB"`), &s); err != nil || s != 64<<20 {
		t.Errorf("%d, %v", s, err)
	}
	for _, bad := range []string{`-1`, `"64m"`, `1.5`, `{}`} {
		if json.Unmarshal([]byte(bad), new(Size)) == nil {
			t.Errorf("size %s is taken", bad)
		}
	}
	var words Strings
	if err := json.Unmarshal([]byte(`"one"`), &words); err != nil || len(words) != 1 {
		t.Errorf("%v, %v", words, err)
	}
}

func TestLocalServers(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadLocal(dir); err == nil {
		t.Error("a server is found where there is none")
	}
	l := Local{URL: "http://127.0.0.1:1", Pid: 2}
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadLocal(dir); err != nil || got != l {
		t.Errorf("%+v, %v", got, err)
	}
	for range 2 { // also where it is gone
		if err := RemoveLocal(dir); err != nil {
			t.Error(err)
		}
	}
}

// TestAServerThatIsNotHereIsNotAsked: another user may have its port.
func TestAServerThatIsNotHereIsNotAsked(t *testing.T) {
	dead := exec.Command("go", "version")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if err := (Local{Host: host, Pid: os.Getpid()}).Check(); err != nil {
		t.Error(err)
	}
	if err := (Local{Host: host, Pid: dead.Process.Pid}).Check(); !errors.Is(err, ErrNoLocal) {
		t.Error(err)
	}
	if err := (Local{Host: host + "x", Pid: os.Getpid()}).Check(); err == nil || !strings.Contains(err.Error(), "RPIPE_URL") || !strings.Contains(err.Error(), "remove the directory's server.json") {
		t.Error(err)
	}
}
