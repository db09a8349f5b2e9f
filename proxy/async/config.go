package async

import (
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Config is the async block of proxy.yaml.
type Config struct {
	Dir        string   `yaml:"dir" default:".rpipe/async" doc:"Directory of the requests and their answers; relative paths start from this file. One proxy has it at a time."`
	Durability string   `yaml:"durability" default:"always" example:"interval:200ms" doc:"always: a request that was answered with 202 is kept though the power fails. interval:200ms: it may be lost for so long after."`
	NATS       *NATS    `yaml:"nats" doc:"Keeps requests on NATS servers, in place of the ones in dir. Proxies with the same queue there share the work: they must serve the same APIs."`
	Queue      string   `yaml:"queue" default:"http" doc:"The queue that the requests stand in."`
	Routes     []string `yaml:"routes" scalar:"true" example:"[/reports/*]" doc:"Paths that may be asked for so, as the client sees them, or, with * at the end, all that begin like that. Elsewhere Prefer: respond-async means nothing. All of them where it is empty."`

	Running     int              `yaml:"running" default:"2" min:"1" doc:"How many of these requests may be in R at a time. They are to leave workers for those who wait."`
	Waiting     int              `yaml:"waiting" default:"1000" min:"1" doc:"How many may wait; more get 503."`
	TTL         configs.Duration `yaml:"ttl" default:"1h" min:"1s" doc:"How long an answer is kept after it came."`
	MaxBody     configs.Size     `yaml:"max_body" default:"64MiB" doc:"Largest body of such a request; more gets 413. max_body of the API holds too."`
	MaxResponse configs.Size     `yaml:"max_response" default:"256MiB" doc:"Largest body of an answer that is kept; in place of a larger one there is 500."`
}

// NATS are servers elsewhere.
type NATS struct {
	URLs        []string `yaml:"urls" required:"true" scalar:"true" example:"[tls://nats1:4222]" doc:"Their addresses."`
	Credentials string   `yaml:"credentials" doc:"A file of NATS credentials, or with the seed of an NKey."`
	CA          string   `yaml:"ca" doc:"A file of PEM certificates that the servers' are signed by. The system's without it."`
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	if _, err := broker.ParseDurability(c.Durability); err != nil {
		report("durability", err.Error(), "")
	}
	if err := tasks.CheckName("a queue", c.Queue); err != nil {
		report("queue", err.Error(), "")
	}
	for _, r := range c.Routes {
		if !strings.HasPrefix(r, "/") || strings.Contains(strings.TrimSuffix(r, "*"), "*") {
			report("routes", "has what is no path: "+r, "such as /reports/day, or /reports/*")
		}
	}
}

// covers reports whether a path may be asked for so.
func (c *Config) covers(path string) bool {
	for _, r := range c.Routes {
		begin, prefix := strings.CutSuffix(r, "*")
		if path == r || prefix && strings.HasPrefix(path, begin) {
			return true
		}
	}
	return len(c.Routes) == 0
}
