package sources

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// FuzzNDJSON reads text as a pipeline does from standard input, at once and
// byte by byte: each line that is not blank is a row or rejected, the rows are
// the same, and encoding/json takes every line that made one.
func FuzzNDJSON(f *testing.F) {
	f.Add("{\"a\":1,\"b\":\"x\"}\n\n{\"a\":2.5}\r\n{\"c\":[1,{}]}\n")
	f.Add(" {\"a\":null} \n\t\n{\"a\":\"\\u00e9\"}\nnot json\n{\"a\":tru")
	f.Cleanup(func() { standardInput = os.Stdin })
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 300 || compressedOrMarked(text) {
			return // see FuzzSplit for the limit
		}
		whole, rejected, err := readNDJSON(t, strings.NewReader(text))
		pieces, rejectedPieces, errPieces := readNDJSON(t, iotest.OneByteReader(strings.NewReader(text)))
		if (err == nil) != (errPieces == nil) || len(rejected) != len(rejectedPieces) {
			t.Fatalf("%q: %v and %d rejected at once; byte by byte %v and %d", text, err, len(rejected), errPieces, len(rejectedPieces))
		}
		if err != nil {
			return
		}
		if d := frame.Diff(whole, pieces); d != "" {
			t.Fatalf("%q byte by byte: %s", text, d)
		}
		var lines []string
		for line := range strings.Lines(text) {
			if len(bytes.TrimSpace([]byte(line))) > 0 {
				lines = append(lines, line)
			}
		}
		if int(whole.NumRows())+len(rejected) != len(lines) {
			t.Fatalf("%q: %d rows and %d rejected of %d lines", text, whole.NumRows(), len(rejected), len(lines))
		}
		for i, line := range lines {
			if !rejected[int64(i)] && !json.Valid([]byte(line)) {
				t.Fatalf("line %d, %q, is no JSON", i+1, line)
			}
		}
	})
}

// compressedOrMarked reports whether text begins as what is no plain UTF-8 does.
func compressedOrMarked(text string) bool {
	return text != "" && strings.IndexByte("\x1f\x28B\xfd\xef\xff\xfe", text[0]) >= 0
}

// readNDJSON gives all good rows and the numbers of the others.
func readNDJSON(t *testing.T, text io.Reader) (frame.Frame, map[int64]bool, error) {
	standardInput = text
	rejected := map[int64]bool{}
	env := &stages.Env{Parallel: 1}
	r, err := (&NDJSON{Path: Paths{"-"}, OnError: "skip"}).Open(t.Context(), env, "")
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	all := frame.Empty(r.Schema())
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			return all, rejected, nil
		}
		if err != nil {
			return nil, nil, err
		}
		for _, r := range read.Rejected {
			rejected[r.First] = true
		}
		if all, err = frame.Concat(all, read.Frame); err != nil {
			t.Fatal(err)
		}
	}
}
