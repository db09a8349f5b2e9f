package view

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

var update = flag.Bool("update", false, "write the golden files again")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestNumbers(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(count(1234567), "1,234,567")
	f(brief(999), "999")
	f(brief(12345), "12.3k")
	f(brief(4.5e6), "4.50M")
	f(size(512), "512 B")
	f(size(1<<20-1), "1024 KiB")
	f(size(3<<30), "3.00 GiB")
	f(span(13*time.Millisecond), "13ms")
	f(span(1840*time.Millisecond), "1.8s")
	f(span(185*time.Second), "3m05s")
	f(span(127*time.Minute), "2h07m")
	f(percent(0.256), "26%")
	f(cut("abcdef", 4), "abc…")
	f(cut("äöü", 3), "äöü")
}

func TestMessagesCannotForgeLines(t *testing.T) {
	err := errors.New("R error in f: \x1b[31mred\r\nlevel=ERROR msg=forged\ttab")
	if got, want := Message(err), "R error in f: \uFFFD[31mred\uFFFD\n  level=ERROR msg=forged tab"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func snapshot() pipeline.Snapshot {
	s := pipeline.Snapshot{
		Pipeline: "flights", Run: "20261121T221500-0badcafe", Elapsed: 10 * time.Second,
		Input: sources.Size{Rows: 2_000_000, Bytes: 40 << 20}, Read: sources.Size{Rows: 500_000, Bytes: 10 << 20},
		Memory: 12 << 20, Budget: 1 << 30,
		R: &pipeline.Workforce{Up: 2, Busy: 2, Memory: 150 << 20, Requests: 48, BusyTime: 19 * time.Second, Started: 3, Died: 1, Forks: true},
	}
	s.Stages = []stages.Reading{
		{Name: "source", RowsOut: 500_000, BytesOut: 50 << 20, Busy: time.Second, Workers: 1, BlockedOut: 9 * time.Second, Elapsed: 10 * time.Second},
		{Name: "score", RowsIn: 490_000, RowsOut: 480_000, BytesOut: 60 << 20, Busy: 29 * time.Second, Workers: 3, InFlight: 3, Elapsed: 10 * time.Second},
		{Name: "sink", RowsIn: 480_000, RowsOut: 480_000, BytesOut: 60 << 20, Busy: 2 * time.Second, Workers: 1, BlockedIn: 8 * time.Second, Elapsed: 10 * time.Second},
	}
	return s
}

func TestLivePicture(t *testing.T) {
	s := snapshot()
	golden(t, "live.txt", strings.Join(livePicture(&s, 100), "\n")+"\n")
	for _, width := range []int{20, 40, 79} {
		for _, line := range livePicture(&s, width) {
			if n := len([]rune(line)); n > width {
				t.Errorf("width %d: a line of %d: %q", width, n, line)
			}
		}
	}
}

// What was drawn is drawn over: the cursor goes up as many lines as there were.
func TestLiveRedrawsInPlace(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out, func() (int, int) { return 100, 24 })
	l.Draw(snapshot())
	lines := strings.Count(out.String(), "\n")
	out.Reset()
	l.Draw(snapshot())
	if want := "\r\x1b[" + string(rune('0'+lines)) + "A"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("%d lines, then %q", lines, out.String()[:10])
	}
	out.Reset()
	l.Clear()
	l.Clear()
	if got := out.String(); strings.Count(got, "A") != 1 {
		t.Errorf("cleared twice: %q", got)
	}
}

func TestPlainLine(t *testing.T) {
	golden(t, "plain.txt", PlainLine(snapshot())+"\n")
}

func TestReport(t *testing.T) {
	s := snapshot()
	r := &pipeline.Report{
		Snapshot: s, Bottleneck: s.Bottleneck(), DeadLetters: 12, DeadLetterDir: "out/dead", Outputs: []pipeline.Written{{Sink: "sink", Path: "out/flights"}},
	}
	r.Skipped = 3
	for i := range 12 {
		r.Outputs[0].Files = append(r.Outputs[0].Files, sinks.Part{Path: "carrier=AA/" + string(rune('a'+i)) + ".parquet", Rows: 40_000, Bytes: 5 << 20})
	}
	var out bytes.Buffer
	Report(&out, r)
	golden(t, "report.txt", out.String())

	r.Error = "disk full"
	out.Reset()
	Report(&out, r)
	if got := out.String(); !strings.Contains(got, "flights failed in 10s") || strings.Contains(got, "wrote") {
		t.Error(got)
	}
}

func TestPlan(t *testing.T) {
	p := &pipeline.Plan{
		Name: "flights", Path: "flights.yaml", Workers: 2, Memory: 1 << 30, Size: sources.Size{Rows: 1000, Bytes: 5000},
		Nodes: []pipeline.Node{
			{Label: "source", After: -1, Kind: "source", Component: "csv", Settings: "path: a.csv\n", Out: []pipeline.Column{{Name: "a", Type: "int32"}, {Name: "b", Type: "string"}}},
			{Label: "derive", After: 0, Kind: "stage", Component: "derive", Settings: "c: a * 2\n", Out: []pipeline.Column{{Name: "a", Type: "double"}, {Name: "c", Type: "int32"}}},
			{Label: `say "hi"`, After: 1, Kind: "stage", Component: "map", Settings: "fun: f\n"},
			{Label: "batch", After: 2, Kind: "stage", Component: "batch", Settings: "rows: 10\n"},
			{Label: "sink", After: 3, Kind: "sink", Component: "parquet", Settings: "path: out\n"},
		},
	}
	var out bytes.Buffer
	Plan(&out, p)
	out.WriteString("\n")
	Mermaid(&out, p)
	golden(t, "plan.txt", out.String())
}
