package front

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/rpipe-dev/rpipe/configs"
)

// Listen says where the front listens and what it takes from a connection.
type Listen struct {
	Address string `yaml:"address" default:"127.0.0.1:3000" doc:"Where to listen: host:port, :port for all addresses of the machine, or the path of a Unix socket, which begins with / or ./."`
	TLS     *TLS   `yaml:"tls" doc:"Serves HTTPS. Without it HTTP is served."`
	HTTP2   string `yaml:"http2" default:"tls" enum:"tls|cleartext|off" doc:"Where HTTP/2 is spoken: over TLS alone, without TLS too (with prior knowledge, as some proxies do), or nowhere."`

	MaxHeader     configs.Size     `yaml:"max_header" default:"64KiB" min:"4KiB" max:"16MiB" doc:"Largest request line and headers together; a client that sends more gets 431."`
	MaxURI        configs.Size     `yaml:"max_uri" default:"16KiB" min:"256" doc:"Longest path and query; a client that sends a longer one gets 414."`
	HeaderTimeout configs.Duration `yaml:"header_timeout" default:"10s" min:"1ms" doc:"Time for a TLS handshake, and for the headers of a request from its first byte. The connection is closed then."`
	IdleTimeout   configs.Duration `yaml:"idle_timeout" default:"75s" min:"1ms" doc:"How long a connection may be kept without a request."`
	BodyTimeout   configs.Duration `yaml:"body_timeout" default:"20s" min:"1ms" doc:"Time for a body, to which body_rate adds by its size. A client that is slower gets 408."`
	BodyRate      configs.Size     `yaml:"body_rate" default:"1KiB" min:"1" doc:"Bytes a second at which a body must come in once body_timeout is used up."`
	WriteTimeout  configs.Duration `yaml:"write_timeout" default:"20s" min:"1ms" doc:"How long writing an answer may be held up by its reader, to which write_rate adds by its size. The connection is closed then. Time that R takes does not count."`
	WriteRate     configs.Size     `yaml:"write_rate" default:"1KiB" min:"1" doc:"Bytes a second at which an answer must be read once write_timeout is used up."`

	MaxConnections int `yaml:"max_connections" default:"4096" min:"1" doc:"Connections at once. More wait in the system's queue until one ends."`

	BufferMemory   configs.Size `yaml:"buffer_memory" default:"256MiB" doc:"Memory for the bodies of all requests together. What is beyond goes to files."`
	BufferDisk     configs.Size `yaml:"buffer_disk" default:"8GiB" doc:"Disk, in the temporary directory, for bodies and answers that are not in memory. A request that finds no place gets 503."`
	ResponseMemory configs.Size `yaml:"response_memory" default:"256MiB" doc:"Memory for answers that their readers are slow to take, all together. What is beyond goes to files."`

	TrustedProxies  []Network `yaml:"trusted_proxies" scalar:"true" example:"[loopback, 10.0.0.0/8]" doc:"Proxies in front of this one that are believed who the client is and what id its request has: addresses, networks such as 10.0.0.0/8, loopback, private, or unix for whoever connects to a Unix socket. Empty believes nobody."`
	ForwardedHeader string    `yaml:"forwarded_header" default:"x-forwarded-for" enum:"x-forwarded-for|forwarded" doc:"Where trusted proxies say who the client is: X-Forwarded-For with X-Forwarded-Proto, or Forwarded (RFC 7239). The other is dropped, since a proxy that does not know it passes on what a client made up."`

	DrainDelay configs.Duration `yaml:"drain_delay" default:"0" doc:"How long to go on as before once shutdown has begun and readiness is gone, so that a load balancer notices. 0 is not at all."`
}

// TLS is the server's certificate, and whose certificates clients must show.
type TLS struct {
	Cert       string `yaml:"cert" required:"true" doc:"File with the certificate and those between it and its authority, in PEM. It is loaded again when it changes; where what is new does not work, the old stays in use."`
	Key        string `yaml:"key" required:"true" doc:"File with the certificate's private key, in PEM."`
	ClientCA   string `yaml:"client_ca" doc:"File with authorities, in PEM. Where it is set, a client must show a certificate of one of them."`
	MinVersion string `yaml:"min_version" default:"1.2" enum:"1.2|1.3" doc:"Oldest version of TLS."`
}

// Shorthand lets the address stand for the mapping.
func (Listen) Shorthand() string { return "address" }

// Check implements configs.Checker.
func (l *Listen) Check(report func(field, message, hint string)) {
	if l.unix() {
		return
	}
	host, port, err := net.SplitHostPort(l.Address)
	switch {
	case err != nil:
		report("address", "is neither host:port nor a path", "such as 127.0.0.1:3000, :3000 or /run/rpipe.sock")
	case port == "":
		report("address", "has no port", "such as "+net.JoinHostPort(host, "3000"))
	}
}

// Warn implements configs.Warner.
func (l *Listen) Warn(report func(field, message, hint string)) {
	if l.TLS != nil && l.HTTP2 == "cleartext" {
		report("http2", "cleartext has no use where everything is encrypted", "leave it out: HTTP/2 is spoken over TLS")
	}
}

// unix reports whether the address is a path.
func (l *Listen) unix() bool {
	return strings.HasPrefix(l.Address, "/") || strings.HasPrefix(l.Address, "./")
}

// bind listens.
func (l *Listen) bind() (net.Listener, error) {
	if !l.unix() {
		listener, err := net.Listen("tcp", l.Address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen on %s: another program listens there; end it, or choose another port: %w", l.Address, err)
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
		}
		return listener, nil
	}
	if err := removeStale(l.Address); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
	}
	listener, err := net.Listen("unix", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
	}
	return listener, nil
}

// removeStale removes a socket that nobody listens on any more: a process that
// was killed leaves its own.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("there is a file that is no socket")
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return errors.New("another program listens there")
	}
	return os.Remove(path)
}
