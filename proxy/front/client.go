package front

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// identify finds out who asks and over what, and says so in the request as
// proxies do. What a peer that is not trusted says of others is dropped.
func (f *Front) identify(r *http.Request, x *exchange.Exchange) {
	peer, port := split(r.RemoteAddr)
	x.Client, x.Peer, x.Port, x.Scheme = peer, peer, port, "http"
	if r.TLS != nil {
		x.Scheme = "https"
	}
	trusted := f.trusted.has(peer)
	host := r.Host
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via"} {
		x.Relayed = x.Relayed || r.Header.Get(name) != ""
	}
	var chain string
	if trusted {
		if f.config.ForwardedHeader == "forwarded" {
			x.Relayed = x.Relayed && !f.forwarded(r, x)
		} else {
			chain = f.xForwarded(r, x)
			x.Relayed = x.Relayed && chain == ""
		}
		if h := last(r.Header, "X-Forwarded-Host"); h != "" {
			host = h
		}
	} else {
		for name := range r.Header {
			if saysWho(name) {
				delete(r.Header, name)
			}
		}
	}
	delete(r.Header, "Forwarded")
	if peer.IsValid() {
		if chain != "" {
			chain += ", "
		}
		chain += peer.String()
	}
	set(r.Header, "X-Forwarded-For", chain)
	set(r.Header, "X-Forwarded-Proto", x.Scheme)
	set(r.Header, "X-Forwarded-Host", host)
	if x.Client.IsValid() {
		r.RemoteAddr = net.JoinHostPort(x.Client.String(), or(x.Port, "0"))
	}
	x.ID = ""
	if id := r.Header.Get("X-Request-Id"); trusted && sane(id) {
		x.ID = id
	} else {
		x.ID = newID()
	}
	set(r.Header, "X-Request-Id", x.ID)
}

// saysWho reports whether a header is one by which proxies tell who asks, and of what.
func saysWho(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip", "X-Request-Id", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// xForwarded takes the client from X-Forwarded-For: proxies append whom they
// heard, so it is read from the right, as far as proxies are trusted. It returns
// the part that can be believed.
func (f *Front) xForwarded(r *http.Request, x *exchange.Exchange) (chain string) {
	hops := members(r.Header.Values("X-Forwarded-For"))
	at := len(hops)
	for i := len(hops) - 1; i >= 0; i-- {
		a, port := split(hops[i])
		if !a.IsValid() { // unknown, or nonsense
			break
		}
		x.Client, x.Port, at = a, port, i
		if !f.trusted.has(a) {
			break
		}
	}
	// Proxies that append to X-Forwarded-Proto do it in step.
	protos := members(r.Header.Values("X-Forwarded-Proto"))
	if n := len(protos); n > 0 {
		x.Scheme = scheme(protos[max(0, n-max(1, len(hops)-at))], x.Scheme)
	}
	return strings.Join(hops[at:], ", ")
}

// forwarded takes the client from Forwarded, RFC 7239, likewise, and reports
// whether it names one.
func (f *Front) forwarded(r *http.Request, x *exchange.Exchange) (named bool) {
	hops := members(r.Header.Values("Forwarded"))
	for i := len(hops) - 1; i >= 0; i-- {
		var a netip.Addr
		var port, proto string
		for _, pair := range strings.Split(hops[i], ";") {
			name, value, _ := strings.Cut(pair, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "for":
				a, port = split(value)
			case "proto":
				proto = value
			}
		}
		if !a.IsValid() {
			return named
		}
		x.Client, x.Port, named = a, port, true
		x.Scheme = scheme(proto, x.Scheme)
		if !f.trusted.has(a) {
			return named
		}
	}
	return named
}

// split reads an address, with a port or without; the zero Addr is none. A zone is
// dropped: it may be any text, and addresses stand in logs as they are.
func split(text string) (a netip.Addr, port string) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		_, port, _ = net.SplitHostPort(text)
		return ap.Addr().Unmap().WithZone(""), port
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}, ""
	}
	return a.Unmap().WithZone(""), ""
}

func scheme(said, otherwise string) string {
	switch s := strings.ToLower(said); s {
	case "http", "https":
		return s
	case "ws":
		return "http"
	case "wss":
		return "https"
	}
	return otherwise
}

// members are those of a header that may be written in several lines.
func members(values []string) (all []string) {
	for _, v := range values {
		for _, one := range strings.Split(v, ",") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, one)
			}
		}
	}
	return all
}

func last(h http.Header, name string) string {
	all := members(h.Values(name))
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func set(h http.Header, name, value string) {
	if value == "" {
		delete(h, name)
		return
	}
	h[name] = []string{value}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
