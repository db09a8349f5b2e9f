package dashboard

import "github.com/rpipe-dev/rpipe/configs"

// Config is the dashboard block of rpipe.yaml.
type Config struct {
	None    bool             `yaml:"none" doc:"There is no dashboard: /ui/ and / answer 404."`
	Refresh configs.Duration `yaml:"refresh" default:"1s" min:"100ms" doc:"Pages that are open are told of changes at most so often."`
}
