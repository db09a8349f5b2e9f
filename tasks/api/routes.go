package api

// Right is what a client must be allowed to do for a route.
type Right string

const (
	Open   Right = ""       // everybody may
	Use    Right = "use"    // whoever may submit, read or administer: what is one's own, or all with read
	Submit Right = "submit" // scope submit
	Change Right = "change" // what is one's own with submit, everybody's with admin
	Read   Right = "read"   // scope read, or admin
	Admin  Right = "admin"  // scope admin
)

// Param is a parameter of a route.
type Param struct {
	Name string
	Doc  string
	Type string // of OpenAPI: string, integer, boolean; "" is string
	Many bool   // it may stand more than once
	Enum []string
}

// Route is one operation. Op is its name in the description, and the key by which the
// server finds its handler.
type Route struct {
	Method, Path string // as net/http's ServeMux takes them
	Op           string
	Tag          string
	Right        Right
	Summary      string // a line
	Doc          string // more, where there is more

	Query  []Param
	In     any      // a document, as its zero value; nil for none
	InAs   []string // media types of the body that are no documents
	Status int      // of success; 0 is 200
	Out    any      // a document; nil for none
	OutAs  []string // other media types of the answer, by Accept where there is a document too
	Faults []int    // statuses of errors, beside 400, 401, 403 and 500
}

// Parameters that several routes have.
var (
	after  = Param{Name: "after", Doc: "Where to go on: next of the page before."}
	limit  = Param{Name: "limit", Doc: "Rows of a page, at most 10000. Without it, 100.", Type: "integer"}
	order  = Param{Name: "order", Doc: "newest first (the default), or oldest first.", Enum: []string{"newest", "oldest"}}
	follow = Param{Name: "follow", Doc: "Goes on with what is printed from now, until the task has ended.", Type: "boolean"}
	wait   = Param{Name: "follow", Doc: "Waits for tasks that have not ended. Lines of JSON only.", Type: "boolean"}
	since  = Param{Name: "after", Doc: "Only lines after the one with this number.", Type: "integer"}
	events = Param{Name: "log", Doc: "Also what tasks print, and their progress.", Type: "boolean"}
	filter = []Param{
		{Name: "owner", Doc: "Of this owner; for who may read everybody's."},
		{Name: "name", Doc: "Of jobs with this name."},
		{Name: "queue", Doc: "In this queue."},
		{Name: "state", Doc: "In this state, such as ERROR, or in one of these with commas. unfinished and failed stand for several.", Many: true},
		{Name: "label", Doc: "With this label: name=value.", Many: true},
		{Name: "since", Doc: "Submitted then or later: a time, or a duration before now such as 1h."},
		{Name: "until", Doc: "Submitted before: a time, or a duration before now."},
		{Name: "text", Doc: "Words that names, labels or error messages begin with."},
	}
	paged = append(append([]Param(nil), filter...), after, limit, order)
)

// Routes are all operations, in the order in which they are described.
var Routes = []Route{
	{Method: "POST", Path: "/v1/jobs", Op: "submitJob", Tag: "jobs", Right: Submit, Status: 201,
		Summary: "Submit a job", Doc: "As JSON, or as R's serialize() of a named list with the same fields, in which fun may be a closure, args and over any R values, and depends_on ids. The answer is 200 in place of 201 where there was a job with the same key or id.",
		In: Submission{}, InAs: []string{R}, Out: Job{}, Faults: []int{404, 409, 413, 415, 429, 503, 507}},
	{Method: "GET", Path: "/v1/jobs", Op: "listJobs", Tag: "jobs", Right: Use, Summary: "List jobs",
		Query: paged, Out: Jobs{}},
	{Method: "GET", Path: "/v1/jobs/{id}", Op: "getJob", Tag: "jobs", Right: Use, Summary: "A job with its tasks counted by state",
		Out: Job{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/jobs/{id}/tasks", Op: "listTasksOfJob", Tag: "jobs", Right: Use, Summary: "List the tasks of a job",
		Query: paged, Out: Tasks{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/jobs/{id}/results", Op: "getResults", Tag: "jobs", Right: Use, Summary: "Results of a job, as many as there are",
		Doc:   "Lines of JSON, a Result for each task that has ended, in order of their numbers; those that were retried by their last successor. With Accept: application/x-r-serialize an R list with an element for each task in the range: list(id, n, element, state, value, failure), whose value is a raw vector for unserialize(), or NULL for a task that has not ended. May be asked at any time.",
		Query: []Param{{Name: "from", Doc: "The first number. Without it, 1.", Type: "integer"}, {Name: "limit", Doc: "How many numbers at most.", Type: "integer"}, wait, {Name: "order", Doc: "number (the default), or ended: as they ended.", Enum: []string{"number", "ended"}}},
		Out:   Result{}, OutAs: []string{Lines, R}, Faults: []int{404, 406}},
	{Method: "GET", Path: "/v1/jobs/by-name/{name}/results", Op: "getResultsByName", Tag: "jobs", Right: Use, Summary: "Results of the newest job with a name, as one JSON array",
		Doc:   "503 while it has not ended: for programs that only know a name. The array has the values, or null and, in errors, why.",
		Query: []Param{{Name: "owner", Doc: "Of this owner; for who may read everybody's."}}, Out: Values{}, Faults: []int{404, 503}},
	{Method: "GET", Path: "/v1/jobs/{id}/download", Op: "downloadJob", Tag: "jobs", Right: Use, Summary: "A zip of a job's results",
		Doc: "results/N.rds for readRDS(), and summary.csv with a line for each task.", OutAs: []string{Zip}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/jobs/{id}/events", Op: "followJob", Tag: "events", Right: Use, Summary: "Follow a job",
		Doc:   "Server-sent events, whose data is an Event. Ends with an event end when all tasks have ended. Last-Event-ID goes on after a broken connection; what was missed is said by gap.",
		Query: []Param{events}, Out: Event{}, OutAs: []string{Stream}, Faults: []int{404, 503}},
	{Method: "GET", Path: "/v1/jobs/{id}/cells", Op: "getCells", Tag: "jobs", Right: Use, Summary: "The tasks of a job by state, in parts",
		Doc:   "For a picture of a job of any size: parts of 1, 2, 5, 10, 20, 50, … tasks each, so that there are not more than asked for.",
		Query: []Param{{Name: "from", Doc: "The first number. Without it, 1.", Type: "integer"}, {Name: "to", Doc: "The last number. Without it, the job's last.", Type: "integer"}, {Name: "cells", Doc: "How many parts at most, up to 1000. Without it, 500.", Type: "integer"}}, Out: Cells{}, Faults: []int{404}},
	{Method: "POST", Path: "/v1/jobs/{id}/cancel", Op: "cancelJob", Tag: "jobs", Right: Change, Summary: "Cancel all tasks of a job that have not ended", Out: Outcome{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/jobs/{id}/retry", Op: "retryJob", Tag: "jobs", Right: Change, Summary: "Try again those tasks of a job that failed",
		Doc: "They become a new job, whose id is the answer's new_id; the old ones are MOVED.", In: RetryRequest{}, Out: Outcome{}, Faults: []int{404, 409, 429, 507}},
	{Method: "POST", Path: "/v1/jobs/{id}/resume", Op: "resumeJob", Tag: "jobs", Right: Change, Summary: "Try again all tasks of a job that have ended without a value",
		Doc: "As retry, with cancelled ones too; those that are COMPLETE, or still to run, stay as they are.", Out: Outcome{}, Faults: []int{404, 409, 429, 507}},
	{Method: "DELETE", Path: "/v1/jobs/{id}", Op: "deleteJob", Tag: "jobs", Right: Change, Summary: "Delete a job with its tasks, results and logs",
		Doc: "Refused while a task runs: cancel it before.", Out: Outcome{}, Faults: []int{404, 409}},

	{Method: "GET", Path: "/v1/tasks", Op: "listTasks", Tag: "tasks", Right: Use, Summary: "List tasks",
		Query: append([]Param{{Name: "job", Doc: "Of this job."}, {Name: "worker", Doc: "Whose last attempt was on this worker."}}, paged...), Out: Tasks{}},
	{Method: "GET", Path: "/v1/counts", Op: "countTasks", Tag: "tasks", Right: Use, Summary: "Count tasks by state",
		Query: append([]Param{{Name: "job", Doc: "Of this job."}}, filter...), Out: Counts{}},
	{Method: "GET", Path: "/v1/tasks/{id}", Op: "getTask", Tag: "tasks", Right: Use, Summary: "A task", Out: Task{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/tasks/{id}/result", Op: "getResult", Tag: "tasks", Right: Use, Summary: "The value of a task",
		Doc: "As JSON, or with Accept: application/x-r-serialize as R serialized it. 406 where it has more than 64 MiB, or more than 128 MiB as JSON, and JSON was asked for. 409 where it has not ended or has no value; the message says why. Follows a retry.", Out: Value{}, OutAs: []string{R}, Faults: []int{404, 406, 409}},
	{Method: "GET", Path: "/v1/tasks/{id}/log", Op: "getLog", Tag: "tasks", Right: Use, Summary: "What a task printed",
		Doc:   "Lines of JSON, or plain text with Accept: text/plain, or server-sent events with Accept: text/event-stream.",
		Query: []Param{follow, since}, Out: LogLine{}, OutAs: []string{Lines, Text, Stream}, Faults: []int{404, 503}},
	{Method: "GET", Path: "/v1/tasks/{id}/progress", Op: "getProgress", Tag: "tasks", Right: Use, Summary: "The last that a task told of its progress", Out: Progress{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/tasks/{id}/events", Op: "followTask", Tag: "events", Right: Use, Summary: "Follow a task", Query: []Param{events}, Out: Event{}, OutAs: []string{Stream}, Faults: []int{404, 503}},
	{Method: "POST", Path: "/v1/tasks/{id}/cancel", Op: "cancelTask", Tag: "tasks", Right: Change, Summary: "Cancel a task, queued or running", Out: Outcome{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/tasks/{id}/retry", Op: "retryTask", Tag: "tasks", Right: Change, Summary: "Try a task again", In: RetryRequest{}, Out: Outcome{}, Faults: []int{404, 409, 429, 507}},
	{Method: "DELETE", Path: "/v1/tasks/{id}", Op: "deleteTask", Tag: "tasks", Right: Change, Summary: "Delete a task with its result and log", Out: Outcome{}, Faults: []int{404, 409}},

	{Method: "POST", Path: "/v1/wait", Op: "wait", Tag: "many", Right: Use, Summary: "Wait for tasks and jobs, however many",
		Doc: "Answers when what is waited for has come, or the time is over: then done is false, and one asks again.", In: WaitRequest{}, Out: WaitResult{}, Faults: []int{503}},
	{Method: "POST", Path: "/v1/cancel", Op: "cancel", Tag: "many", Right: Change, Summary: "Cancel tasks and jobs", In: IDs{}, Out: Outcomes{}},
	{Method: "POST", Path: "/v1/retry", Op: "retry", Tag: "many", Right: Change, Summary: "Try tasks and jobs again", In: RetryRequest{}, Out: Outcomes{}, Faults: []int{429, 507}},
	{Method: "POST", Path: "/v1/delete", Op: "delete", Tag: "many", Right: Change, Summary: "Delete tasks and jobs", In: IDs{}, Out: Outcomes{}},

	{Method: "GET", Path: "/v1/events", Op: "follow", Tag: "events", Right: Use, Summary: "Follow all tasks that one may see", Out: Event{}, OutAs: []string{Stream}, Faults: []int{503}},

	{Method: "GET", Path: "/v1/queues", Op: "listQueues", Tag: "queues", Right: Use, Summary: "List queues", Out: Queues{}},
	{Method: "GET", Path: "/v1/queues/{name}", Op: "getQueue", Tag: "queues", Right: Use, Summary: "A queue", Out: Queue{}, Faults: []int{404}},
	{Method: "PUT", Path: "/v1/queues/{name}", Op: "setQueue", Tag: "queues", Right: Admin, Summary: "Set the limits of a queue", In: QueueSettings{}, Out: Queue{}},
	{Method: "POST", Path: "/v1/queues/{name}/pause", Op: "pauseQueue", Tag: "queues", Right: Admin, Summary: "Begin nothing of a queue any more", Out: Queue{}},
	{Method: "POST", Path: "/v1/queues/{name}/resume", Op: "resumeQueue", Tag: "queues", Right: Admin, Summary: "Begin tasks of a queue again", Out: Queue{}},
	{Method: "POST", Path: "/v1/queues/{name}/purge", Op: "purgeQueue", Tag: "queues", Right: Admin, Summary: "Cancel all tasks that wait in a queue", Out: Purged{}},
	{Method: "GET", Path: "/v1/queues/{name}/events", Op: "followQueue", Tag: "events", Right: Use, Summary: "Follow the tasks of a queue", Out: Event{}, OutAs: []string{Stream}, Faults: []int{503}},

	{Method: "GET", Path: "/v1/workers", Op: "listWorkers", Tag: "workers", Right: Use, Summary: "List workers", Out: Workers{}},
	{Method: "GET", Path: "/v1/workers/{id}", Op: "getWorker", Tag: "workers", Right: Use, Summary: "A worker", Out: Worker{}, Faults: []int{404}},
	{Method: "POST", Path: "/v1/workers/{id}/messages", Op: "messageWorker", Tag: "workers", Right: Admin, Summary: "Tell a worker something, and have its answer", Doc: "The answer is the worker's own, whatever it is for this type.", In: Message{}, Out: Reply{}, Faults: []int{404, 504}},
	{Method: "GET", Path: "/v1/workers/{id}/log", Op: "getWorkerLog", Tag: "workers", Right: Admin, Summary: "The log of a worker", Query: []Param{follow, since}, Out: LogLine{}, OutAs: []string{Lines, Text, Stream}, Faults: []int{404, 503}},

	{Method: "GET", Path: "/v1/apis", Op: "listAPIs", Tag: "apis", Right: Read, Summary: "List the APIs that are mounted, with their requests of late", Out: APIs{}},
	{Method: "GET", Path: "/v1/apis/{name}", Op: "getAPI", Tag: "apis", Right: Read, Summary: "An API with its routes and recent errors", Doc: "A slash in its name is written %2F.", Out: API{}, Faults: []int{404}},

	{Method: "GET", Path: "/v1/environments", Op: "listEnvironments", Tag: "settings", Right: Use, Summary: "List environments", Out: Environments{}},
	{Method: "GET", Path: "/v1/environments/{name}", Op: "getEnvironment", Tag: "settings", Right: Use, Summary: "An environment", Out: Environment{}, Faults: []int{404}},
	{Method: "PUT", Path: "/v1/environments/{name}", Op: "setEnvironment", Tag: "settings", Right: Change, Summary: "Set an environment",
		Doc: "Its next version: tasks that begin from now have it, without a restart of what runs. Another owner's environment is his to set, and an administrator's.", In: Environment{}, Out: Environment{}, Faults: []int{409, 413, 507}},
	{Method: "DELETE", Path: "/v1/environments/{name}", Op: "deleteEnvironment", Tag: "settings", Right: Change, Summary: "Delete an environment, all versions", Doc: "Tasks that need it end with an error that says so. Another owner's environment is his to delete, and an administrator's.", Out: Deleted{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/worker-configs", Op: "listWorkerConfigs", Tag: "settings", Right: Use, Summary: "List worker configurations", Out: WorkerConfigs{}},
	{Method: "GET", Path: "/v1/worker-configs/{name}", Op: "getWorkerConfig", Tag: "settings", Right: Use, Summary: "A worker configuration", Out: WorkerConfig{}, Faults: []int{404}},
	{Method: "PUT", Path: "/v1/worker-configs/{name}", Op: "setWorkerConfig", Tag: "settings", Right: Admin, Summary: "Set a worker configuration", In: WorkerConfig{}, Out: WorkerConfig{}},
	{Method: "DELETE", Path: "/v1/worker-configs/{name}", Op: "deleteWorkerConfig", Tag: "settings", Right: Admin, Summary: "Delete a worker configuration", Doc: "Workers that have begun with it go on.", Out: Deleted{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/owners", Op: "listOwners", Tag: "settings", Right: Use, Summary: "List owners", Doc: "Oneself; with scope read everybody who has tasks or limits of his own.", Out: Owners{}},
	{Method: "GET", Path: "/v1/owners/{name}", Op: "getOwner", Tag: "settings", Right: Use, Summary: "Limits of an owner, and what there is", Doc: "One's own; anybody's with scope read.", Out: Owner{}, Faults: []int{404}},
	{Method: "PUT", Path: "/v1/owners/{name}", Op: "setOwner", Tag: "settings", Right: Admin, Summary: "Set the limits of an owner", In: OwnerSettings{}, Out: Owner{}},

	{Method: "GET", Path: "/v1/pipelines", Op: "listPipelines", Tag: "pipelines", Right: Use, Summary: "List pipelines", Out: Pipelines{}},
	{Method: "GET", Path: "/v1/pipelines/{name}", Op: "getPipeline", Tag: "pipelines", Right: Use, Summary: "A pipeline", Out: Pipeline{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/pipelines/{name}/plan", Op: "getPipelinePlan", Tag: "pipelines", Right: Use, Summary: "What a run of a pipeline would do",
		Doc: "It reads the beginning of the input, for the columns.", Out: PipelinePlan{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/pipelines/{name}/run", Op: "runPipeline", Tag: "pipelines", Right: Change, Status: 201, Summary: "Run a pipeline now",
		Doc: "It waits for a run under way to end.", In: PipelineStart{}, Out: PipelineRun{}, Faults: []int{404, 409}},
	{Method: "GET", Path: "/v1/pipelines/{name}/runs", Op: "listPipelineRuns", Tag: "pipelines", Right: Use, Summary: "List the runs of a pipeline", Query: runFilter, Out: Runs{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/pipelines/{name}/dead-letters", Op: "getDeadLetters", Tag: "pipelines", Right: Use, Summary: "Rows of a pipeline that failed",
		Query: []Param{{Name: "stage", Doc: "In the stage of this label."}, {Name: "run", Doc: "Of this run."}, {Name: "since", Doc: "That failed since then: a time, or a duration before now."}, {Name: "limit", Doc: "Rows, at most 1000. Without it, 100.", Type: "integer"}},
		Out:   PipelineDeadLetters{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/pipelines/{name}/replay", Op: "replayPipeline", Tag: "pipelines", Right: Change, Status: 201, Summary: "Run the rows again that failed",
		Doc: "From the stage on where they failed. What succeeds is added to the output and leaves the dead letter.", In: PipelineReplay{}, Out: PipelineRun{}, Faults: []int{404, 409}},
	{Method: "GET", Path: "/v1/pipeline-runs/{id}", Op: "getPipelineRun", Tag: "pipelines", Right: Use, Summary: "A run of a pipeline, with figures while it is under way",
		Doc: "Its log is at /v1/runs/{id}/log, and /v1/runs/{id}/cancel ends it.", Out: PipelineRun{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/pipeline-runs/{id}/output", Op: "getPipelineOutput", Tag: "pipelines", Right: Use, Summary: "What a run has written and is still there", Out: PipelineOutput{}, Faults: []int{404, 409}},

	{Method: "GET", Path: "/v1/schedules", Op: "listSchedules", Tag: "schedules", Right: Use, Summary: "List schedules", Out: Schedules{}},
	{Method: "GET", Path: "/v1/schedules/{name}", Op: "getSchedule", Tag: "schedules", Right: Use, Summary: "A schedule", Out: Schedule{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/schedules/{name}/next", Op: "nextTimes", Tag: "schedules", Right: Use, Summary: "When a schedule is due next",
		Query: []Param{{Name: "n", Doc: "How many times, at most 1000. Without it, 10.", Type: "integer"}}, Out: Times{}, Faults: []int{404, 409}},
	{Method: "GET", Path: "/v1/schedules/{name}/runs", Op: "listRunsOf", Tag: "schedules", Right: Use, Summary: "List the runs of a schedule", Query: runFilter, Out: Runs{}, Faults: []int{404}},
	{Method: "POST", Path: "/v1/schedules/{name}/run", Op: "runSchedule", Tag: "schedules", Right: Change, Status: 201, Summary: "Run a schedule now",
		Doc: "Beside its times. It waits for a run under way to end, unless overlap is allow.", In: RunRequest{}, Out: Run{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/schedules/{name}/pause", Op: "pauseSchedule", Tag: "schedules", Right: Change, Summary: "Have nothing of a schedule due",
		Doc: "Until it is resumed, also after a restart. Times that come meanwhile are passed over.", Out: Schedule{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/schedules/{name}/resume", Op: "resumeSchedule", Tag: "schedules", Right: Change, Summary: "End the pause of a schedule", Out: Schedule{}, Faults: []int{404, 409}},
	{Method: "POST", Path: "/v1/schedules/{name}/backfill", Op: "backfillSchedule", Tag: "schedules", Right: Change, Status: 201, Summary: "Run a schedule for its times of a range",
		Doc: "Oldest first and one at a time, also for times that have run before. Times that come by the clock meanwhile go first.", In: BackfillRequest{}, Out: Backfill{}, Faults: []int{404, 409}},
	{Method: "GET", Path: "/v1/runs", Op: "listRuns", Tag: "schedules", Right: Use, Summary: "List the runs of all schedules",
		Query: append([]Param{{Name: "schedule", Doc: "Of this schedule."}}, runFilter...), Out: Runs{}},
	{Method: "GET", Path: "/v1/runs/{id}", Op: "getRun", Tag: "schedules", Right: Use, Summary: "A run", Out: Run{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/runs/{id}/log", Op: "getRunLog", Tag: "schedules", Right: Use, Summary: "The log of a run",
		Doc:   "What R printed, and what became of it: stream run. Lines of JSON, or plain text with Accept: text/plain, or server-sent events with Accept: text/event-stream.",
		Query: []Param{{Name: "follow", Doc: "Goes on with what comes, until the run has ended.", Type: "boolean"}, since}, Out: LogLine{}, OutAs: []string{Lines, Text, Stream}, Faults: []int{404, 503}},
	{Method: "POST", Path: "/v1/runs/{id}/cancel", Op: "cancelRun", Tag: "schedules", Right: Change, Summary: "Cancel a run, waiting or under way, or a backfill",
		Doc: "What is under way ends a moment later.", Out: Outcome{}, Faults: []int{404, 409}},

	{Method: "PUT", Path: "/v1/values", Op: "putValue", Tag: "values", Right: Submit, Summary: "Store a value", Status: 201,
		Doc: "R's serialization, of any size, which a submission then refers to. Putting the same bytes again is no harm. A value that no task refers to within a day is removed.", InAs: []string{R, Bytes}, Out: Stored{}, Faults: []int{413, 429, 507}},
	{Method: "GET", Path: "/v1/values/{ref}", Op: "getValue", Tag: "values", Right: Use, Summary: "A stored value", Doc: "Whoever knows a reference knows what the value is: it is a hash of it.", OutAs: []string{R}, Faults: []int{404}},

	{Method: "GET", Path: "/v1/audit", Op: "getAudit", Tag: "security", Right: Admin, Summary: "Who changed what",
		Query: []Param{
			{Name: "owner", Doc: "By this owner."}, {Name: "op", Doc: "By this operation, such as cancelJob, or login."},
			{Name: "outcome", Doc: "With this outcome.", Enum: []string{"ok", "refused", "failed"}},
			{Name: "target", Doc: "Of this id or name."},
			{Name: "since", Doc: "Then or later: a time, or a duration before now such as 1h."}, {Name: "until", Doc: "Before: a time, or a duration before now."},
			after, {Name: "limit", Doc: "Entries of a page, at most 1000. Without it, 100.", Type: "integer"},
		}, Out: Audit{}, Faults: []int{404}},
	{Method: "GET", Path: "/v1/sessions", Op: "listSessions", Tag: "security", Right: Use, Summary: "List log-ins of browsers",
		Query: []Param{{Name: "owner", Doc: "Of this owner, or * for all; for an administrator. Without it, one's own."}}, Out: Sessions{}},
	{Method: "DELETE", Path: "/v1/sessions", Op: "endSessions", Tag: "security", Right: Use, Summary: "Log out everywhere",
		Query: []Param{{Name: "owner", Doc: "Somebody else; for an administrator. Without it, oneself."}}, Out: Ended{}},
	{Method: "GET", Path: "/v1/notify", Op: "listNotify", Tag: "security", Right: Read, Summary: "List where notifications go, and what came of them", Out: NotifyTargets{}},
	{Method: "POST", Path: "/v1/notify/{name}/test", Op: "testNotify", Tag: "security", Right: Admin, Summary: "Send a notification to try a target",
		Doc: "Once, and the answer says what came of it.", Out: NotifyTest{}, Faults: []int{404}},

	{Method: "GET", Path: "/v1/info", Op: "getInfo", Tag: "server", Right: Use, Summary: "What the server says of itself, and whom it takes you for", Out: Info{}},
	{Method: "GET", Path: "/v1/series", Op: "getSeries", Tag: "server", Right: Read, Summary: "Figures of the last time, in 180 steps: what ended, how long it took, what was in the queues",
		Doc:   "Of all owners together. They are this server's, and begin anew when it starts.",
		Query: []Param{{Name: "range", Doc: "How far back: 15m, 1h (the default) or 24h.", Enum: []string{"15m", "1h", "24h"}}}, Out: Series{}},
	{Method: "POST", Path: "/v1/backup", Op: "backup", Tag: "server", Right: Admin, Summary: "Copy the store into a new directory on the server's machine", In: BackupRequest{}, Out: Backup{}, Faults: []int{409}},
	{Method: "POST", Path: "/v1/reload", Op: "reload", Tag: "server", Right: Admin, Summary: "Read the configuration file again", Doc: "As SIGHUP does: what can change while the server runs changes, and the code of the mounted APIs is loaded afresh; the answer names what takes a restart. A file that is wrong changes nothing, and gets 422 with its problems and their places.", Out: Reload{}, Faults: []int{422, 503}},
	{Method: "GET", Path: "/openapi.json", Op: "getDescription", Tag: "server", Summary: "This description", OutAs: []string{JSON}},
	{Method: "GET", Path: "/metrics", Op: "getMetrics", Tag: "server", Right: Read, Summary: "Figures for Prometheus", OutAs: []string{Text}},
	{Method: "GET", Path: "/healthz", Op: "getHealth", Tag: "server", Summary: "200 while the server runs; 503 where it would have to be started anew: the engine has stopped, or a part does not answer", Out: Health{}, OutAs: []string{Text, JSON}, Faults: []int{503}},
	{Method: "GET", Path: "/readyz", Op: "getReadiness", Tag: "server", Summary: "200 while tasks are taken: the engine answers, the disk has room, the index has caught up, R comes up where it is to, and no shutdown is under way. With Accept: application/json each part", Out: Readiness{}, OutAs: []string{Text, JSON}, Faults: []int{503}},
}
