package server

import (
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"golang.org/x/sys/unix"
)

// peerUser is the user whose process is at the other end of a connection within this
// machine: on a machine with several users, being there is not being its owner. The
// kernel is asked for the socket with the connection's addresses (sock_diag(7)). Not
// known is where the kernel answers nobody, as in some sandboxes; a socket that it does
// not know, or that has been closed, is nobody's.
func peerUser(r *http.Request) (uid int, known bool) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return nobody, true
	}
	here, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return nobody, true
	}
	there, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || there.Port() == 0 { // a proxy speaks for the client
		return nobody, true
	}
	// The socket of the other end has the addresses the other way round.
	uid, err = socketUser(there, here)
	switch {
	case errors.Is(err, errNoDiag):
		return 0, false
	case err != nil:
		return nobody, true
	}
	return uid, true
}

var errNoDiag = errors.New("the kernel does not tell of sockets")

// inet_diag_req_v2 behind a netlink header, and inet_diag_msg, as in
// linux/inet_diag.h; all in the machine's order but ports and addresses.
const (
	requestSize  = unix.SizeofNlMsghdr + 56
	messageSize  = 72
	messageState = 1
	messageUID   = 64

	established, closeWait = 1, 8 // of messageState
)

func socketUser(from, to netip.AddrPort) (int, error) {
	native := binary.NativeEndian
	request := make([]byte, requestSize)
	native.PutUint32(request[0:], requestSize)
	native.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(request[6:], unix.NLM_F_REQUEST)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	if from.Addr().Is6() {
		body[0] = unix.AF_INET6
	}
	native.PutUint32(body[4:], 0xFFFFFFFF) // any state
	binary.BigEndian.PutUint16(body[8:], from.Port())
	binary.BigEndian.PutUint16(body[10:], to.Port())
	copy(body[12:28], from.Addr().AsSlice())
	copy(body[28:44], to.Addr().AsSlice())
	native.PutUint64(body[48:], 0xFFFFFFFFFFFFFFFF) // no cookie

	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, errNoDiag
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return 0, err
	}
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, errNoDiag
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	if n < unix.SizeofNlMsghdr+messageSize || native.Uint16(answer[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return 0, unix.ENOENT
	}
	message := answer[unix.SizeofNlMsghdr:]
	uid, state := int(native.Uint32(message[messageUID:])), message[messageState]
	if uid == 0 && state != established && state != closeWait {
		return 0, unix.ENOTCONN // of a socket that was closed the kernel says 0, whoever's it was
	}
	return uid, nil
}
