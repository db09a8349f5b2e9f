package server

import (
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/internal/otlptest"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/trace"
)

// TestARunOfAScheduleIsOneTrace: a pipeline's with all that it does, and a job's, whose
// record has it for whoever runs it.
func TestARunOfAScheduleIsOneTrace(t *testing.T) {
	to := otlptest.Start(t)
	dir := pipelineFiles(t, map[string]string{
		"numbers.yaml": "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out, if_exists: append}}\n",
	})
	s := serve(t, func(f *File) {
		f.Pipelines.Dir, f.Tracing = dir, trace.Config{Endpoint: to.HTTP, Protocol: "http", Sample: 1}
		var c Schedule
		configs.SetDefaults(&c)
		c.Name, c.Fun = "job", "function() 1"
		f.Schedules = append(f.Schedules, c)
	})
	traceOf := func(schedule, run, below string) *otlptest.Span {
		t.Helper()
		var above *otlptest.Span
		eventually(t, func() bool { // the span's end follows the run's
			if err := s.tracer.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, span := range to.Spans() {
				if span.Name == "schedule" && span.Attrs["rpipe.run"] == run {
					above = &span
				}
			}
			return above != nil
		})
		if above.Attrs["rpipe.schedule"] != schedule || above.Attrs["rpipe.attempt"] != "1" || above.Parent != "" {
			t.Errorf("the span of %s: %+v", schedule, above)
		}
		for _, span := range to.Spans() {
			if span.Name == below && span.Parent == above.ID && span.Trace == above.Trace {
				return above
			}
		}
		t.Fatalf("%s is not below the run of %s:\n%s", below, schedule, otlptest.Tree(to.Spans()))
		return nil
	}

	run := runsWell(t, s, "/v1/pipelines/numbers/run", "")
	traceOf("numbers", run.ID, "run")

	asked, err := s.c.RunSchedule(t.Context(), "job", api.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		if asked, err = s.c.Run(t.Context(), asked.ID); err != nil {
			t.Fatal(err)
		}
		return asked.Job != ""
	})
	job, err := s.queue.Job(t.Context(), queue.Who{Owner: s.access.self}, asked.Job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.c.CancelRun(t.Context(), asked.ID); err != nil { // nobody runs its task
		t.Fatal(err)
	}
	if above := traceOf("job", asked.ID, "submit"); !strings.Contains(job.Trace, above.Trace) {
		t.Errorf("the job has trace %q, its run %q", job.Trace, above.Trace)
	}
}
