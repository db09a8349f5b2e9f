package logs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/trace"
)

func TestALineHasWhatItsContextKnows(t *testing.T) {
	var out bytes.Buffer
	log := Config{Format: "json", Level: "info"}.New(&out)
	ctx := trace.Remote(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	ctx = With(ctx, slog.String(Request, "r1"))
	below := With(ctx, slog.String(Task, "j.1"))
	_ = With(ctx, slog.String(Task, "another"))
	log.With("part", "x").InfoContext(below, "hello")
	log.Info("without")
	log.Debug("too much")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), &out)
	}
	f := func(line string, want map[string]any) {
		t.Helper()
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		for key, v := range want {
			if got[key] != v {
				t.Errorf("%s is %v, want %v", key, got[key], v)
			}
		}
	}
	f(lines[0], map[string]any{"msg": "hello", "level": "INFO", "part": "x", Request: "r1", Task: "j.1", Trace: "0af7651916cd43dd8448eb211c80319c"})
	f(lines[1], map[string]any{"msg": "without", Request: nil, Trace: nil})
}

func TestTheLevelIsTheLeastThatIsWritten(t *testing.T) {
	for i, level := range Levels {
		var out bytes.Buffer
		log := Config{Level: level}.New(&out)
		log.Debug("m")
		log.Info("m")
		log.Warn("m")
		log.Error("m")
		if n := strings.Count(out.String(), "msg=m"); n != len(Levels)-i {
			t.Errorf("%s writes %d of 4", level, n)
		}
	}
}
