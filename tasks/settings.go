package tasks

import "time"

// DefaultQueue is where tasks go that name none.
const DefaultQueue = "default"

// DefaultEnv is the environment of tasks that name none. It need not be set.
const DefaultEnv = "default"

// QueueConfig are the settings of a queue.
type QueueConfig struct {
	Name      string `json:"name"`
	Paused    bool   `json:"paused,omitempty"`     // nothing of it is claimed
	MaxLength int    `json:"max_length,omitempty"` // tasks PENDING or DEFERRED; past it submissions are refused. 0 is no limit
	MaxBytes  int64  `json:"max_bytes,omitempty"`  // of arguments of those; 0 is no limit
}

// OwnerConfig are the limits of one owner.
type OwnerConfig struct {
	Owner      string `json:"owner"`
	MaxRunning int    `json:"max_running,omitempty"` // tasks; 0 is no limit
	MaxJobs    int    `json:"max_jobs,omitempty"`    // jobs with tasks that run (restbatch's max_concurrent_tasks); 0 is no limit
	MaxBytes   int64  `json:"max_bytes,omitempty"`   // of values kept; 0 is no limit
}

// Environment is what workers have loaded before a task of it: the newest version.
type Environment struct {
	Name     string            `json:"name"`
	Version  int               `json:"version"` // from 1
	Owner    string            `json:"owner"`
	Created  time.Time         `json:"created"`
	Packages []string          `json:"packages,omitempty"`
	Sources  []Source          `json:"sources,omitempty"` // sourced in order
	Setup    string            `json:"setup,omitempty"`   // R code run after them
	Options  map[string]string `json:"options,omitempty"` // R options(), name to expression
	Env      map[string]string `json:"env,omitempty"`     // environment variables
	Dir      string            `json:"dir,omitempty"`     // working directory on the worker's machine; "" is the worker's own
}

// Source is an R file: its text, or the path of one on the workers' machines.
type Source struct {
	Name string `json:"name"`           // file name, for messages
	Ref  string `json:"ref,omitempty"`  // blob with its text
	Path string `json:"path,omitempty"` // absolute, where Ref is ""
}

// WorkerConfig are named settings that workers are started with.
type WorkerConfig struct {
	Name        string        `json:"name"`
	Queues      []string      `json:"queues,omitempty"`       // in order of priority; empty is default
	Min         int           `json:"min,omitempty"`          // R processes kept up
	Max         int           `json:"max,omitempty"`          // R processes at most; 0 is one a core
	IdleTimeout time.Duration `json:"idle_timeout,omitempty"` // the worker ends after so long without a task; 0 is never
	MaxMemory   int64         `json:"max_memory,omitempty"`   // resident bytes of one R process; 0 is no limit
	MaxTasks    int           `json:"max_tasks,omitempty"`    // an R process is replaced after so many; 0 is never
	LogTasks    bool          `json:"log_tasks,omitempty"`    // the worker's log names each task
}

// Worker is what is known of a worker (one `rpipe worker` or `rpipe serve`, with its R
// processes) while it is alive: it renews it, and it expires.
type Worker struct {
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Pid      int       `json:"pid"`
	User     string    `json:"user"`
	State    string    `json:"state"` // IDLE, BUSY, PAUSED, STOPPING; LOST where it has not been heard of
	Queues   []string  `json:"queues"`
	Started  time.Time `json:"started"`
	Seen     time.Time `json:"seen"`
	Version  string    `json:"version"` // of rpipe
	R        string    `json:"r"`       // version of R
	Platform string    `json:"platform"`
	Max      int       `json:"max"`             // R processes
	Up       int       `json:"up"`              // R processes
	Busy     int       `json:"busy"`            // R processes
	RSS      int64     `json:"rss"`             // bytes, of them
	Tasks    []string  `json:"tasks,omitempty"` // that run, at most 100
	Done     int64     `json:"done"`            // tasks, whatever came out
	Load     Load      `json:"load"`
	Config   string    `json:"config,omitempty"`
	Job      string    `json:"job,omitempty"` // of the scheduler that it was launched by, such as Slurm's job id
}

// Load is how many of its R processes a worker had busy, on average: between 0 and Max.
type Load struct {
	S1  float64 `json:"s1"` // over a second
	S5  float64 `json:"s5"`
	S15 float64 `json:"s15"`
	All float64 `json:"all"` // since it started
}

// ValuesSubject is where ValuesConfig is, which a server writes and workers read. No
// worker configuration can have its name.
const ValuesSubject = "rp.c._values"

// ValuesConfig says where values are that are too large for a record. The zero value is
// the engine's own store of objects.
type ValuesConfig struct {
	Dir       string `json:"dir,omitempty"` // that all machines share
	S3        string `json:"s3,omitempty"`  // s3://bucket/prefix; each machine has its own credentials
	Endpoint  string `json:"endpoint,omitempty"`
	Region    string `json:"region,omitempty"`
	PathStyle string `json:"path_style,omitempty"`
}
