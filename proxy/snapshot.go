package proxy

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"github.com/rpipe-dev/rpipe/proxy/admin"
)

// Snapshot implements admin.Source.
func (s *Server) Snapshot() admin.Snapshot {
	snap := admin.Snapshot{
		Name: s.file.Name, Version: s.version, Started: s.started, Draining: s.draining.Load(),
	}
	if err := s.fileErr.Load(); err != nil {
		snap.FileError = *err
	}
	if s.file.single == "" {
		snap.File = s.file.Path
	}
	if s.mount != nil {
		snap.APIs, snap.Pools = s.mount.Snapshot()
	}
	for _, r := range s.beside.all {
		snap.Pipelines = append(snap.Pipelines, r.state())
	}
	return snap
}

// Snapshot is the APIs and their pools for a status page: what the pools' own Stats say
// and no more, so that it is quick.
func (m *Mount) Snapshot() (apis []admin.API, pools []admin.Pool) {
	for _, c := range m.router.site.Load().apis {
		apis = append(apis, m.describe(c))
	}
	for name, p := range m.pools {
		options := m.file.Pools[name]
		pools = append(pools, admin.Pool{Name: name, Options: options.options(m.file.users(name), nil, nil), Stats: p.Stats()})
	}
	slices.SortFunc(pools, func(a, b admin.Pool) int { return cmp.Compare(a.Name, b.Name) })
	return apis, pools
}

// describe is one API for the status page.
func (m *Mount) describe(c *slot) admin.API {
	d := admin.API{
		Name: c.config.Name, Path: c.config.Path, Host: c.config.Host, Transport: c.config.transport(),
		File: c.config.code(m.file), Pool: c.config.Pool, OnDemand: m.file.Pools[c.config.Pool].Min == 0,
		Tried: c.tried, Err: c.broken,
	}
	if c.api != nil {
		d.Generation, d.Since = c.api.generation, c.api.since
		d.Environment = c.api.fingerprint
		if c.api.docs != "" {
			d.Docs = c.config.prefix() + c.api.docs
		}
	}
	return d
}

// transport is what the status page calls the way to R.
func (c *API) transport() string {
	switch {
	case c.Plumber != nil:
		return "plumber"
	case c.HTTPUV != nil && c.HTTPUV.Kind == "shiny":
		return "shiny"
	case c.HTTPUV != nil:
		return "httpuv"
	}
	return "predict"
}

// code is where the API's code is, as the user named it.
func (c *API) code(f *File) string {
	switch {
	case f.single != "":
		return f.single
	case c.Plumber != nil:
		return cmp.Or(c.Plumber.File, c.Plumber.Dir)
	case c.HTTPUV != nil:
		return cmp.Or(c.HTTPUV.File, c.HTTPUV.Dir, "code")
	}
	return ""
}

// URL is where the server listens.
func (s *Server) URL() string {
	scheme := "http"
	if s.file.Listen.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + authority(s.front.Addr())
}

// StatusURL is where the status page is.
func (s *Server) StatusURL() string {
	if s.adminAddr != nil {
		return "http://" + authority(s.adminAddr) + admin.Prefix + "status"
	}
	return s.URL() + admin.Prefix + "status"
}

// authority is an address as it stands in a URL: one that can be opened.
func authority(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}
