package front

import (
	"errors"
	"net/netip"
)

// Network is one or several networks, or whoever connects to a Unix socket. It is
// written as an address, a network such as 10.0.0.0/8, loopback, private or unix.
type Network struct {
	text     string
	prefixes []netip.Prefix
	unix     bool
}

var named = map[string][]string{
	"loopback": {"127.0.0.0/8", "::1/128"},
	"private":  {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16", "fe80::/10"},
}

// UnmarshalText reads a network.
func (n *Network) UnmarshalText(text []byte) error {
	n.text, n.prefixes, n.unix = string(text), nil, false
	if n.text == "unix" {
		n.unix = true
		return nil
	}
	for _, p := range named[n.text] {
		n.prefixes = append(n.prefixes, netip.MustParsePrefix(p))
	}
	if n.prefixes != nil {
		return nil
	}
	if a, err := netip.ParseAddr(n.text); err == nil {
		a = a.Unmap().WithZone("")
		n.prefixes = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		return nil
	}
	p, err := netip.ParsePrefix(n.text)
	if err != nil {
		return errors.New("is not an address, a network such as 10.0.0.0/8, loopback, private or unix")
	}
	if p.Masked() != p {
		return errors.New("has bits behind its prefix; it begins at " + p.Masked().String())
	}
	if p.Addr().Is4In6() {
		return errors.New("is an IPv4 network written as IPv6; write it as IPv4")
	}
	n.prefixes = []netip.Prefix{p}
	return nil
}

// MarshalText writes it as it was read.
func (n Network) MarshalText() ([]byte, error) { return []byte(n.text), nil }

// String is how it was written.
func (n Network) String() string { return n.text }

// networks are all of a list.
type networks struct {
	prefixes []netip.Prefix
	unix     bool
}

func flatten(list []Network) (all networks) {
	for _, n := range list {
		all.prefixes = append(all.prefixes, n.prefixes...)
		all.unix = all.unix || n.unix
	}
	return all
}

// has reports whether an address is in one of them. The zero Addr is that of
// whoever connects to a Unix socket.
func (n *networks) has(a netip.Addr) bool {
	if !a.IsValid() {
		return n.unix
	}
	a = a.WithZone("")
	for _, p := range n.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
