package exchange

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// FromHere reports whether the client is of this machine. The peer of the
// connection has to be, and whoever it says it asks for: a proxy on this machine
// makes every client look local to who looks at the peer alone. An address that
// came in a header opens nothing; it can only close.
func FromHere(r *http.Request) bool {
	if x := Of(r.Context()); x.ID != "" { // a front has found out, and changed the headers
		return x.Peer.IsLoopback() && x.Client.IsLoopback() && !x.Relayed
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	if r.Header.Get("Forwarded") != "" || r.Header.Get("Via") != "" {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip"} {
		for _, line := range r.Header.Values(name) {
			for text := range strings.SplitSeq(line, ",") {
				if a, err := netip.ParseAddr(strings.TrimSpace(text)); err != nil || !a.Unmap().IsLoopback() {
					return false
				}
			}
		}
	}
	return true
}

// NamesHere reports whether a request's Host names this machine, whose own name is
// machine. What a page of another site has a browser ask does not: without this, a
// site could have its own name lead to 127.0.0.1 and read the answers in the browser
// of whoever works here (DNS rebinding).
func NamesHere(host, machine string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == strings.ToLower(machine)
}

// Loopback reports whether an address to listen on is reached from this machine
// alone.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
