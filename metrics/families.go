package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is one metric: its name, what it counts, and its labels. docs/metrics.md
// has the same, and a test compares them.
type family struct {
	name   string
	kind   prometheus.ValueType // 0 is a histogram
	help   string
	labels []string

	desc *prometheus.Desc
}

const histogram prometheus.ValueType = 0

func describe(kind prometheus.ValueType, name, help string, labels ...string) *family {
	f := &family{name: name, kind: kind, help: help, labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
	families = append(families, f)
	return f
}

// families are all metrics of this package, in the order below.
var families []*family

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var (
	buildInfo = describe(gauge, "rpipe_build_info", "The value is 1; the labels say which rpipe runs and which Go built it.", "version", "goversion")

	poolWorkers      = describe(gauge, "rpipe_pool_workers", "R worker processes by what they do: idle, busy, starting or stopping.", "pool", "state")
	poolMaxWorkers   = describe(gauge, "rpipe_pool_max_workers", "R worker processes that the pool may have.", "pool")
	poolReserved     = describe(gauge, "rpipe_pool_reserved_workers", "R worker processes that bulk requests may not take.", "pool")
	poolMemory       = describe(gauge, "rpipe_pool_resident_memory_bytes", "Resident memory of the pool's R workers. Pages that workers share with their template count once for each of them.", "pool")
	poolEnvironments = describe(gauge, "rpipe_pool_environments", "R environments in use by state: ready, or failing where the last start of a process failed.", "pool", "state")
	poolQueueLength  = describe(gauge, "rpipe_pool_queue_length", "Requests that wait for a worker.", "pool", "priority")
	poolQueueWait    = describe(histogram, "rpipe_pool_queue_wait_seconds", "How long requests waited for a worker, whether they got one or not.", "pool", "priority")
	poolRun          = describe(histogram, "rpipe_pool_run_seconds", "How long requests ran on a worker, whatever came out.", "pool", "priority")
	poolRequests     = describe(counter, "rpipe_pool_requests_total", "Requests that ran on a worker, by outcome: ok, error (an R error), timeout, canceled, or lost (the worker died).", "pool", "outcome")
	poolRefused      = describe(counter, "rpipe_pool_refused_total", "Requests that never got a worker, by reason: queue_full, queue_wait, or canceled by their sender.", "pool", "reason")
	poolLaunches     = describe(counter, "rpipe_pool_template_starts_total", "Template processes that came up.", "pool")
	poolStarts       = describe(counter, "rpipe_pool_worker_starts_total", "R workers that came up.", "pool")
	poolFailures     = describe(counter, "rpipe_pool_start_failures_total", "Processes that did not come up, by kind: template or worker.", "pool", "process")

	workerDeaths   = describe(counter, "rpipe_worker_deaths_total", "R workers that died or had to be killed, by cause: a signal's name, exit, out_of_memory, timeout, canceled, closed, reply_too_large or unknown.", "pool", "cause")
	workerRecycled = describe(counter, "rpipe_worker_recycles_total", "R workers that were replaced in good order, by the limit that wanted it: max_requests, max_lifetime or max_memory.", "pool", "reason")
	workerRetired  = describe(counter, "rpipe_worker_retirements_total", "R workers that were ended because nobody needed them, or another environment needed their place.", "pool")

	pipelineRuns = describe(gauge, "rpipe_pipeline_runs", "Runs of the pipeline that are under way.", "pipeline")
	stageRows    = describe(counter, "rpipe_stage_rows_total", "Rows that went into or came out of the stage.", "pipeline", "stage", "direction")
	stageBytes   = describe(counter, "rpipe_stage_bytes_total", "Bytes in memory of the rows that went into or came out of the stage.", "pipeline", "stage", "direction")
	stageBatches = describe(counter, "rpipe_stage_batches_total", "Batches that went into or came out of the stage.", "pipeline", "stage", "direction")
	stageBlocked = describe(counter, "rpipe_stage_blocked_seconds_total", "Time for which the stage waited for input or for room in its output.", "pipeline", "stage", "direction")
	stageBusy    = describe(counter, "rpipe_stage_busy_seconds_total", "Time for which the stage worked, summed over the batches that it works on at once.", "pipeline", "stage")
	stageFlight  = describe(gauge, "rpipe_stage_batches_in_flight", "Batches that the stage works on.", "pipeline", "stage")
	stageCuts    = describe(counter, "rpipe_stage_batch_cuts_total", "Batches that the stage cut, by reason, such as rows, bytes, period or end.", "pipeline", "stage", "reason")
	stageErrors  = describe(counter, "rpipe_stage_errors_total", "Errors in the stage, by class, such as r_error, died, timeout or http_503.", "pipeline", "stage", "class")
)
