package admin

import (
	"net"
	"strings"
)

// Config is the block admin of proxy.yaml.
type Config struct {
	Listen string `yaml:"listen" example:"127.0.0.1:9090" doc:"An address of its own for /__rpipe__/, which is then not on the port of the APIs at all; empty: it is there, before all APIs. Elsewhere than on loopback it wants a token in the store that may read."`
	Tokens string `yaml:"tokens" doc:"The token store: a file, or a directory with tokens.json in it. Empty: RPIPE_TOKENS, or rpipe/tokens.json in the user's configuration directory, as for rpipe token."`
	Local  bool   `yaml:"local" default:"true" doc:"Lets clients of this machine in without a token. Say false where a proxy in front, on this machine, hides who asks: to rpipe all its clients look local."`
	Errors int    `yaml:"errors" default:"100" min:"1" max:"10000" doc:"How many recent errors the status page remembers."`
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	if c.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" {
		report("listen", "is no address", "such as 127.0.0.1:9090, or :9090 for all interfaces")
	} else if strings.Contains(host, "/") {
		report("listen", "is no address", "a host name or an IP address before the colon, such as 127.0.0.1:9090")
	}
}
