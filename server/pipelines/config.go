package pipelines

import "github.com/rpipe-dev/rpipe/configs"

// Config is which pipelines a server runs, and on what.
type Config struct {
	Dir    string            `yaml:"dir" doc:"Directory of pipeline files, *.yaml and *.yml. Those with schedule: run by it, the others by hand."`
	Pool   string            `yaml:"pool" default:"shared" enum:"shared|own" doc:"shared: map stages use the R processes of workers, after the tasks that wait for one; own: each run starts its own, by the r: block of its file. Without workers here it is own."`
	Watch  bool              `yaml:"watch" default:"true" doc:"Reads files again when they change, beside at a reload."`
	Runs   int               `yaml:"runs" default:"4" min:"1" doc:"Runs at once; more wait. Runs of one pipeline take turns."`
	Values map[string]string `yaml:"values" doc:"Values of variables in pipeline files, name to value, as -v has them; a file need not use them. They win over the environment."`
}

// Shorthand lets the directory stand for the mapping.
func (Config) Shorthand() string { return "dir" }

// Pools of runs.
const (
	Shared = "shared"
	Own    = "own"
)

var _ configs.Shorthander = Config{}
