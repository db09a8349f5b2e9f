package proxy

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Pool is one set of R workers. APIs and pipelines that name the same pool share
// its workers; those of different pools cannot disturb each other.
type Pool struct {
	Min           int              `yaml:"min" default:"1" min:"0" doc:"Workers of each API that are kept up, also without requests."`
	Max           int              `yaml:"max" default:"0" min:"0" doc:"Workers at most, over all APIs and pipelines of the pool. 0 is one for each core, and at least min for each API."`
	Spare         int              `yaml:"min_spare" default:"0" min:"0" doc:"Idle workers that are kept ready beyond the busy ones, up to max."`
	Reserve       *int             `yaml:"reserve" min:"0" doc:"Workers that pipelines may not take. Without it 1 where a pipeline uses the pool and max is not 1."`
	IdleTimeout   configs.Duration `yaml:"idle_timeout" default:"5m" doc:"A worker above min without a request ends after it."`
	CheckInterval configs.Duration `yaml:"check_interval" default:"10s" min:"1ms" doc:"How often idle times, ages and numbers are looked at."`
	Recycle       Recycle          `yaml:"recycle" doc:"When a worker is replaced. Its replacement is ready first."`
	Queue         Queue            `yaml:"queue" doc:"Requests that wait for a worker."`
	MaxMessage    configs.Size     `yaml:"max_message" default:"2GiB" min:"4096" doc:"Bytes of one request to a worker, or of one answer."`
	StartTimeout  configs.Duration `yaml:"start_timeout" default:"60s" min:"1ms" doc:"How long an API may take to load, or a worker to start."`
	Grace         configs.Duration `yaml:"grace" default:"5s" min:"1ms" doc:"How long R code may take to stop after an interrupt, and again after SIGTERM, before it is killed."`
}

// Recycle is when a worker is replaced by a new one.
type Recycle struct {
	MaxRequests int              `yaml:"max_requests" default:"0" min:"0" doc:"After about so many requests. 0 is never."`
	MaxLifetime configs.Duration `yaml:"max_lifetime" default:"0s" doc:"After so long. 0 is never."`
	MaxMemory   configs.Size     `yaml:"max_memory" default:"0" doc:"Resident memory of one worker. An idle one beyond it is replaced, a busy one is stopped, and its request is answered with 502. 0 is no limit."`
	MaxTotal    configs.Size     `yaml:"max_total_memory" default:"0" doc:"Resident memory of all workers together beyond which none is started. 0 is no limit."`
}

// Queue bounds those who wait for a worker.
type Queue struct {
	Length int              `yaml:"length" default:"1024" min:"1" doc:"Requests at most. One more is answered with 503 and Retry-After."`
	Wait   configs.Duration `yaml:"wait" default:"60s" doc:"How long one may wait before it is answered with 503 and Retry-After. 0 is no limit."`
}

// Check implements configs.Checker.
func (p *Pool) Check(report func(field, message, hint string)) {
	if p.Max > 0 && p.Min > p.Max {
		report("min", "is larger than max", "lower it, or raise max")
	}
	if p.Max > 0 && p.Reserve != nil && *p.Reserve >= p.Max {
		report("reserve", "leaves no worker for pipelines", "lower it, or raise max")
	}
}

// use is how many share a pool.
type use struct{ apis, pipelines int }

// reserve is Reserve, or what stands in its place.
func (p *Pool) reserve(by use) int {
	switch {
	case p.Reserve != nil:
		return *p.Reserve
	case by.pipelines > 0 && p.Max != 1:
		return 1
	}
	return 0
}

// most is Max, or what stands in its place.
func (p *Pool) most(by use) int {
	if p.Max > 0 {
		return p.Max
	}
	return max(runtime.NumCPU(), by.apis*p.Min, p.reserve(by)+1)
}

func (p *Pool) options(by use, log *slog.Logger, output func(pid int, line string)) rpool.Options {
	return rpool.Options{
		Min: p.Min, Max: p.most(by), MinSpare: p.Spare, Reserve: p.reserve(by),
		IdleTimeout: time.Duration(p.IdleTimeout), CheckInterval: time.Duration(p.CheckInterval),
		MaxRequests: p.Recycle.MaxRequests, MaxLifetime: time.Duration(p.Recycle.MaxLifetime),
		MaxMemory: int64(p.Recycle.MaxMemory), MaxTotalMemory: int64(p.Recycle.MaxTotal),
		QueueLength: p.Queue.Length, QueueWait: time.Duration(p.Queue.Wait),
		MaxFrame: int64(p.MaxMessage), StartTimeout: time.Duration(p.StartTimeout), Grace: time.Duration(p.Grace),
		Log: log, Output: output,
	}
}
