//go:build unix

package fronts

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Link is how a proxy talks to the R processes behind it.
type Link int

// The links.
const (
	Closing Link = iota // TCP, a connection for each request
	Kept                // TCP connections that are kept
	Sockets             // Unix sockets that are kept
)

// Backends are R processes that serve an API, for proxies in front.
type Backends struct {
	api     API
	tcp     []*Server
	sockets []*Server
}

// Start starts so many R processes on ports, and as many on Unix sockets.
func Start(api API, n int) (*Backends, error) {
	b := &Backends{api: api}
	for i := range n {
		s, err := Plumber(api)
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b.tcp = append(b.tcp, s)
		if s, err = onSocket(api, i); err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b.sockets = append(b.sockets, s)
	}
	for i := range n {
		if err := b.tcp[i].Ready(api.Path); err != nil {
			return nil, errors.Join(err, b.Close())
		}
		if err := b.sockets[i].listens(socket(api, i)); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// listens waits until a process has made its socket.
func (s *Server) listens(path string) error {
	deadline := time.Now().Add(patience)
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the R process has ended: %s", s.said())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the R process does not listen on %s after %v: %w", path, patience, err)
		}
	}
}

// Close ends them.
func (b *Backends) Close() error {
	for _, s := range append(b.tcp, b.sockets...) {
		s.Close()
	}
	return nil
}

// NGINX is nginx in front of the backends. Closing is what its proxy_pass does
// unless told otherwise.
func (b *Backends) NGINX(link Link) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.api.Dir, "nginx-")
	if err != nil {
		return nil, err
	}
	user, keep, version := "", "", ""
	if os.Getuid() == 0 {
		user = "user root;" // to whom the sockets belong
	}
	if link != Closing {
		keep, version = "keepalive 32;", `proxy_http_version 1.1; proxy_set_header Connection "";`
	}
	var servers strings.Builder
	for i := range b.tcp {
		if link == Sockets {
			fmt.Fprintf(&servers, "server unix:%s; ", socket(b.api, i))
		} else {
			fmt.Fprintf(&servers, "server %s; ", b.tcp[i].Addr)
		}
	}
	config := fmt.Sprintf(`%s daemon off; pid nginx.pid; error_log error.log; worker_processes auto;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream r { %s %s }
  server { listen %s; location / { proxy_pass http://r; %s } }
}
`, user, servers.String(), keep, addr, version)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o666); err != nil {
		return nil, err
	}
	return launch(addr, dir, sbin("nginx"), "-p", dir, "-c", file, "-e", "error.log")
}

// HAProxy is haproxy in front of the backends. Kept is what it does unless told
// otherwise. With Sockets each R process has one request at a time.
func (b *Backends) HAProxy(link Link) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	option, limit := "", ""
	switch link {
	case Closing:
		option = "option http-server-close"
	case Sockets:
		option, limit = "http-reuse always", "maxconn 1"
	}
	var servers strings.Builder
	for i := range b.tcp {
		to := b.tcp[i].Addr
		if link == Sockets {
			to = socket(b.api, i)
		}
		fmt.Fprintf(&servers, "  server r%d %s %s\n", i, to, limit)
	}
	config := fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout queue 1m
  %s
frontend api
  bind %s
  default_backend r
backend r
%s`, option, addr, servers.String())
	dir, err := os.MkdirTemp(b.api.Dir, "haproxy-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o666); err != nil {
		return nil, err
	}
	return launch(addr, dir, sbin("haproxy"), "-db", "-f", file)
}

// sbin finds a daemon where a user's PATH does not.
func sbin(name string) string {
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"} {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	return name
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }
