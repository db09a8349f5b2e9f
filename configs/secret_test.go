package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestSecretsNeverPrint(t *testing.T) {
	type config struct {
		Token  Secret            `yaml:"token"`
		Env    map[string]Secret `yaml:"env"`
		List   []Secret          `yaml:"list"`
		Maybe  *Secret           `yaml:"maybe"`
		Inside struct{ Key Secret }
	}
	const value = "hunter2"
	s := Secret(value)
	c := config{Token: s, Env: map[string]Secret{"A": s}, List: []Secret{s}, Maybe: &s}
	c.Inside.Key = s

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v", "% x", "%20s", "%-20q", "%.3s"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", &c)
		fmt.Fprintf(&out, verb+"\n", any(c))
	}
	fmt.Fprintln(&out, s, c, &c)
	fmt.Fprintln(&out, fmt.Errorf("with %w: %v", errors.New("x"), s))
	for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, func(x any) ([]byte, error) { return yaml.Dump(x) }, Normalized} {
		text, err := encode(c)
		if err != nil {
			t.Error(err)
		}
		out.Write(text)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", s, "config", c, "list", c.List)
	}

	for _, shape := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("% x", value), "hun"} {
		if strings.Contains(out.String(), shape) {
			t.Errorf("%q is in\n%s", shape, out.String())
		}
	}
	if !strings.Contains(out.String(), hidden) || string(s) != value {
		t.Error("the secret is lost")
	}
	if got := fmt.Sprintf("%s|%v", Secret(""), Secret("")); got != "|" {
		t.Errorf("an empty secret prints %q", got)
	}
}

// Problems, and the quotes of the file under them, show neither what a variable
// put into a secret nor what stands there itself.
func TestProblemsShowNoSecrets(t *testing.T) {
	f := func(text string) {
		t.Helper()
		vars := environment(map[string]string{"PW": "hunter2"})
		_, problems := Load("p.yaml", []byte(text), vars, new(pipelineFile))
		var out bytes.Buffer
		problems.Format(&out, false)
		encoded, err := json.Marshal(problems)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) == 0 {
			t.Errorf("%s\nhas no problems", text)
		}
		if shown := out.String() + problems.Error() + string(encoded); strings.Contains(shown, "hunter2") {
			t.Errorf("%s\nshows\n%s", text, shown)
		}
	}
	f(minimal + "r: {token: [hunter2]}\n")
	f(minimal + "r: {token: {a: hunter2}}\n")
	f(minimal + "r:\n  token:\n    - hunter2\n    - hunter2\n")
	f(minimal + "r: {token: \"${PW}\", x: 1}\n")
	f(minimal + "r: {token: \"${PW}${NOPE}\"}\n")
	f(minimal + "r: {x: 1, token: hunter2, y: 1}\n")
	f(minimal + "r: {token: hunter2, y: 1}\n")
	f(minimal + "r: {token: \"${NOPE}hunter2\"}\n")
	f(minimal + "r: {token: \"${NOPE hunter2\"}\n")
	f(minimal + "r: {tokn: hunter2}\n")
	f(minimal + "r: {env: {A: hunter2, B: [hunter2]}}\n")
	f(minimal + "r: {env: hunter2}\n")
	f(minimal + "r: {env: [hunter2]}\n")
	f(minimal + "r: {token: !tag hunter2}\n")
	f(minimal + "r: {token: a, token: hunter2}\n")
	f(minimal + "r:\n  token: a\n  token: hunter2\n")
	f(minimal + "r: {token: \"a\n  hunter2\", y: 1}\n")
	f(minimal + "r:\n  token: |\n    a\n    hunter2\n  y: 1\n")
	f(minimal + "x-a: &a {token: hunter2}\nr: {<<: *a, y: 1, <<: 3}\n")
}
