package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrPrivate says that a target's address is not one of the public internet.
var ErrPrivate = errors.New("the address is not public")

// private are networks that are no part of the public internet (IANA's registries of
// special-purpose addresses), and those that hold an address of IPv4, which could be one.
var private = func() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// public reports whether an address is one that everybody may reach.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range private {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// onlyPublic is the Control of a net.Dialer: it sees the address that is dialed, after
// the name was resolved, so a name that leads elsewhere a moment later changes nothing.
func onlyPublic(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrPrivate, address)
	}
	if !public(at.Addr()) {
		return fmt.Errorf("%w: it is %s: set allow_private where that is meant", ErrPrivate, at.Addr())
	}
	return nil
}
