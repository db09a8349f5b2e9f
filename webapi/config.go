package webapi

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
)

// Config is how requests are made. The source http and the stage fetch have its
// keys as their own.
type Config struct {
	Headers        configs.Pairs    `yaml:"headers" doc:"Headers of every request, name to value. Credentials belong into auth, which keeps them out of plans and logs." example:"{Accept: application/json}"`
	Auth           *Auth            `yaml:"auth" doc:"How requests are signed. Only the host of the request gets to see it: a redirect to another one is followed without."`
	Timeout        configs.Duration `yaml:"timeout" default:"30s" doc:"How long one try may take, from connecting to the last byte of the answer. 0 is no limit."`
	ConnectTimeout configs.Duration `yaml:"connect_timeout" default:"10s" doc:"How long connecting may take, with the TLS handshake. 0 is no limit."`
	ReadTimeout    configs.Duration `yaml:"read_timeout" default:"0s" doc:"How long the server may be silent, before the first byte of the answer and between two. 0 is no limit but timeout."`
	MaxIdlePerHost int              `yaml:"max_idle_per_host" default:"0" min:"0" doc:"Connections to a host that are kept open for reuse. 0 is as many as there are requests at once."`
	HTTP2          bool             `yaml:"http2" default:"true" doc:"Speak HTTP/2 where the server does, over TLS."`
	Rate           *Rate            `yaml:"rate" doc:"How many requests may be sent, retries among them. Without it as many as there are time for." example:"10/s"`
	Retry          Retry            `yaml:"retry" doc:"When and how often a request is sent again."`
	CircuitBreaker *CircuitBreaker  `yaml:"circuit_breaker" doc:"Gives a server that mostly fails a rest. Off without this block."`
	TLS            TLS              `yaml:"tls" doc:"Certificates."`
	Proxy          configs.Secret   `yaml:"proxy" doc:"URL of the proxy (http, https or socks5), or none. Without it HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment count."`
	MaxRedirects   int              `yaml:"max_redirects" default:"10" min:"0" doc:"Redirects that are followed, one after the other. 0 follows none: they are errors."`
	MaxResponse    configs.Size     `yaml:"max_response" default:"16MiB" min:"1" doc:"Bytes of an answer, decompressed, at most. A longer one is an error of its request."`
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	CheckHeaders(c.Headers, func(name, message, hint string) { report("headers."+name, message, hint) })
	if _, err := c.proxy(); err != nil {
		report("proxy", err.Error(), "such as http://proxy.example.com:3128, or none")
	}
}

// Warn implements configs.Warner.
func (c *Config) Warn(report func(field, message, hint string)) {
	WarnHeaders(c.Headers, func(name, message, hint string) { report("headers."+name, message, hint) })
	if c.TLS.InsecureSkipVerify {
		report("tls.insecure_skip_verify", "anyone on the way can read and change what is sent, credentials too",
			"give the server's authority as tls: {ca_file: …}")
	}
}

// CheckHeaders reports names and values that no header may have, by name.
func CheckHeaders(headers configs.Pairs, report func(name, message, hint string)) {
	seen := map[string]bool{}
	for _, h := range headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		switch {
		case !validHeaderName(h.Name):
			report(h.Name, "is no name of a header", "")
		case !validHeaderValue(h.Value):
			report(h.Name, "its value has characters that a header must not have, such as a line break", "")
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Idempotency-Key"}, name):
			report(h.Name, "cannot be set here", headerHints[name])
		case seen[name]:
			report(h.Name, "stands twice: names of headers do not tell case apart", "")
		}
		seen[name] = true
	}
}

var headerHints = map[string]string{"Idempotency-Key": "say idempotency_key"}

// WarnHeaders reports headers that look like credentials, by name.
func WarnHeaders(headers configs.Pairs, report func(name, message, hint string)) {
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		if name == "authorization" || name == "cookie" || strings.Contains(name, "api-key") || strings.Contains(name, "token") || strings.Contains(name, "secret") {
			report(h.Name, "looks like a credential, and headers are shown in plans", "say auth: {bearer: …} or auth: {api_key: {name: "+h.Name+", in: header, value: …}}")
		}
	}
}

// proxy is how a request finds its proxy.
func (c *Config) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch c.Proxy {
	case "":
		return http.ProxyFromEnvironment, nil
	case "none":
		return nil, nil
	}
	u, err := url.Parse(string(c.Proxy))
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, errors.New("is no URL of a proxy") // not err: it quotes the URL
	}
	return http.ProxyURL(u), nil
}
