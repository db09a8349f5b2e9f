package sources

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// slowInput gives a text at a time, each after a pause of the bubble's clock.
type slowInput struct {
	texts []string
	pause time.Duration
}

func (s *slowInput) Read(p []byte) (int, error) {
	if len(s.texts) == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause) // the bubble's clock
	n := copy(p, s.texts[0])
	s.texts = s.texts[1:]
	return n, nil
}

func withInput(t *testing.T, r io.Reader) {
	old := standardInput
	standardInput = r
	t.Cleanup(func() { standardInput = old })
}

// reads are the numbers of rows of each read, and when it came.
func readsOf(t *testing.T, s Source) (rows []int64, at []time.Duration) {
	t.Helper()
	start := time.Now()
	r, err := s.Open(t.Context(), (&stages.Env{Parallel: 2}).For("source"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			return rows, at
		}
		if err != nil {
			t.Fatal(err)
		}
		rows, at = append(rows, read.Frame.NumRows()), append(at, time.Since(start))
	}
}

func TestRowsOfStandardInputDoNotWaitForLong(t *testing.T) {
	lines := []string{`{"a": 1}` + "\n", `{"a": 2}` + "\n" + `{"a":`, `3}` + "\n", `{"a": 4}` + "\n"}
	f := func(pause time.Duration, bounded bool, want ...int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			withInput(t, &slowInput{lines, pause})
			got, at := readsOf(t, &NDJSON{Path: Paths{"-"}, InferRows: 10240, Bounded: bounded})
			if len(got) != len(want) {
				t.Fatalf("pauses of %v: reads of %v rows, want %v", pause, got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("pauses of %v: reads of %v rows, want %v", pause, got, want)
				}
			}
			if !bounded && pause > firstPause && at[0] > 3*pause {
				t.Errorf("the first row came after %v", at[0])
			}
		})
	}
	f(2*time.Second, false, 1, 1, 1, 1)
	f(400*time.Millisecond, false, 3, 1) // the columns are inferred from what has come a second after the first
	f(50*time.Millisecond, false, 4)
	f(2*time.Second, true, 4)
}

func TestAPlanLeavesStandardInputAlone(t *testing.T) {
	withInput(t, io.MultiReader(strings.NewReader("x\n1\n")))
	for _, s := range []Source{&NDJSON{Path: Paths{"-"}}, &CSV{Path: Paths{"-"}}} {
		r, err := s.Open(t.Context(), (&stages.Env{Plan: true}).For("source"), "")
		if err != nil || r.Schema() != nil {
			t.Errorf("%T: %v", s, err)
		}
	}
	if b, _ := io.ReadAll(standardInput); string(b) != "x\n1\n" {
		t.Errorf("what is left of standard input: %q", b)
	}
}
