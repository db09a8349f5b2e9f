package sinks

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// owner is what a lock says of who holds it.
type owner struct {
	Pid      int       `json:"pid"`
	Host     string    `json:"host,omitempty"`
	Machine  string    `json:"machine,omitempty"` // where the pid means something, as machine says
	Run      string    `json:"run"`
	Pipeline string    `json:"pipeline,omitempty"`
	Since    time.Time `json:"since"`
	Session  string    `json:"session,omitempty"` // tells writers of one process apart
	// Unclean are the runs before this one that did not let go: what they left may
	// still be there.
	Unclean []string `json:"unclean,omitempty"`

	Renewed  time.Time `json:"renewed,omitzero"`   // on S3, by the owner's clock, for people
	Released bool      `json:"released,omitempty"` // the owner is gone, and what it left stays
}

func newOwner(env *stages.Env) owner {
	host, _ := os.Hostname()
	return owner{
		Pid: os.Getpid(), Host: host, Machine: machine(), Run: env.Run, Pipeline: env.Pipeline,
		Since: time.Now().UTC(), Session: nonce(8),
	}
}

// maxUnclean is how many runs that died a lock remembers.
const maxUnclean = 16

// runs are the runs whose leftovers may be there, oldest first.
func (o owner) runs() []string {
	all := slices.Clone(o.Unclean)
	if o.Run != "" && !slices.Contains(all, o.Run) {
		all = append(all, o.Run)
	}
	return all[max(0, len(all)-maxUnclean):]
}

// lockName is hidden; that of a single file stands beside it, under its name.
func lockName(file string) string {
	if file != "" {
		return "." + file + lockSuffix
	}
	return lockSuffix
}

const lockSuffix = ".rpipe.lock"

// busy is the error of who finds that other holds the place.
func busy(other, me owner) error {
	switch {
	case other.Pid == 0:
		return ErrLocked
	case other.Run == me.Run && other.Pid == me.Pid && other.Host == me.Host && other.Machine == me.Machine:
		return errTwice
	}
	return fmt.Errorf("%w: run %s, pid %d on %s, since %s",
		ErrLocked, other.Run, other.Pid, other.Host, other.Since.Format(time.RFC3339))
}

// errTwice is ErrLocked in the words of somebody whose file names a path twice.
var errTwice error = lockedTwice{}

type lockedTwice struct{}

func (lockedTwice) Error() string        { return "another sink or dead letter of this same run writes there" }
func (lockedTwice) Is(target error) bool { return target == ErrLocked }

// nonce draws n random bytes.
func nonce(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it does not fail: see crypto/rand
	return hex.EncodeToString(b)
}
