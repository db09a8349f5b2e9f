package main

import (
	"net"
	"os"
)

// supervisor is the socket on which systemd listens, where it has started us by a
// unit with Type=notify; "" elsewhere.
type supervisor string

// findSupervisor takes the socket out of the environment: the R processes are not
// to speak for the service.
func findSupervisor() supervisor {
	socket := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	return supervisor(socket)
}

// tell says how the service is in the words of sd_notify(3), such as READY=1. It
// does nothing where nobody listens.
func (s supervisor) tell(state string) error {
	if s == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", string(s)) // a name with @ is an abstract one, here as there
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
