package server

import (
	"strconv"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// BenchmarkOneTask is the round trip of a task that does nothing: submitted over HTTP,
// waited for, its value read.
func BenchmarkOneTask(b *testing.B) {
	s := withR.get(b)
	in := &api.Submission{Fun: text("function() 1")}
	one := func() {
		j, err := s.c.Submit(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		ended(b, s.c, j.ID)
		if _, err := s.c.ResultJSON(b.Context(), j.ID+".1"); err != nil {
			b.Fatal(err)
		}
	}
	one()
	for b.Loop() {
		one()
	}
}

// BenchmarkArray is an array of ten thousand tasks that do nothing, from its submission
// to the last of its results.
func BenchmarkArray(b *testing.B) {
	const n = 10000
	s := withR.get(b)
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = strconv.Itoa(i)
	}
	in := &api.Submission{Fun: text("function(x) x"), Over: &api.Value{JSON: []byte("[" + strings.Join(numbers, ",") + "]")}}
	for b.Loop() {
		j, err := s.c.Submit(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		ended(b, s.c, j.ID)
		got := 0
		if err := s.c.Results(b.Context(), j.ID, 1, 0, func(*api.Result) error { got++; return nil }); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
