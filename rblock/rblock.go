// Package rblock is the r block of configuration files: what R workers have
// loaded before their first request, and what each of them may use. Pipelines,
// APIs and task environments have one each.
package rblock

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Block says what a worker has loaded.
type Block struct {
	Source   []string `yaml:"source" scalar:"true" doc:"R files, for example with the functions of map stages. Sourced once, in the template that workers are forked from."  example:"[model.R]"`
	Packages []string `yaml:"packages" scalar:"true" doc:"Packages that are attached before the files are sourced." example:"[data.table]"`
	Setup    string   `yaml:"setup" doc:"R code that is run after the files."`

	Binary     string                    `yaml:"binary" doc:"The R or Rscript to use. Without it RPIPE_R, R_HOME and PATH are looked at, in that order."`
	Start      string                    `yaml:"start" default:"auto" enum:"auto|fork|spawn" doc:"fork makes workers in milliseconds by forking a loaded R, with which they share memory. spawn starts a fresh R for each: for Java and other code that does not survive a fork. auto tries one fork and falls back to spawn where that hangs or dies."`
	Canary     string                    `yaml:"canary" doc:"An R function that start: auto calls, without arguments, in a trial fork. It should do what your code does: call Java, use threads. Without it a data.frame makes a round trip."`
	BeforeFork string                    `yaml:"before_fork" doc:"R code run in the template before each fork, such as closing connections."`
	AfterFork  string                    `yaml:"after_fork" doc:"R code run in each new worker, such as opening connections."`
	Options    map[string]string         `yaml:"options" doc:"R options(), name to an R expression." example:"{digits: '15'}"`
	Env        map[string]configs.Secret `yaml:"env" doc:"Environment variables of the R processes. Their values are never printed. TZ is UTC unless it is set here."`
	User       string                    `yaml:"user" doc:"The user that R runs as. Needs root."`
}

// Limits are what the kernel holds a worker to.
type Limits struct {
	AddressSpace configs.Size     `yaml:"address_space" default:"0" doc:"Virtual memory (RLIMIT_AS). An allocation beyond it is an R error: cannot allocate vector. 0 is no limit."`
	CPU          configs.Duration `yaml:"cpu" default:"0s" doc:"Processor time of a worker's life (RLIMIT_CPU). 0 is no limit."`
	Files        int              `yaml:"files" default:"0" min:"0" doc:"Open files (RLIMIT_NOFILE). 0 is no limit."`
	Processes    int              `yaml:"processes" default:"0" min:"0" doc:"Processes of its user (RLIMIT_NPROC). 0 is no limit."`
}

// Environment is the block for the pool. Relative paths start from dir.
func (b *Block) Environment(dir string, l Limits) *rpool.Environment {
	env := &rpool.Environment{
		R: b.Binary, Packages: b.Packages, Sources: b.Source, Setup: b.Setup, Dir: dir,
		Options: b.Options, Start: rpool.Start(b.Start), Canary: b.Canary,
		BeforeFork: b.BeforeFork, AfterFork: b.AfterFork, User: b.User,
		Limits: rpool.Limits{
			AddressSpace: int64(l.AddressSpace), CPU: time.Duration(l.CPU),
			Files: l.Files, Processes: l.Processes,
		},
	}
	if abs, err := filepath.Abs(dir); err == nil {
		env.Dir = abs
	}
	for k, v := range b.Env {
		env.Env = append(env.Env, k+"="+string(v))
	}
	slices.Sort(env.Env)
	return env
}
