package broker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Delivery is work that this process has claimed: until it is acknowledged, given back,
// or AckWait has passed since the claim or the last Extend.
type Delivery struct {
	Work
	// Redelivered is how often it was delivered before. It says nothing about attempts:
	// what is given back unseen counts too.
	Redelivered int
	Told        Told

	reply   string
	nc      *nats.Conn
	rank    int // of its lane
	pending uint64
	came    time.Time
}

// Ack says that the work is done: its message goes.
func (d *Delivery) Ack() error { return d.answer("+ACK") }

// Nak gives the work back, to be claimed anew when delay has passed.
func (d *Delivery) Nak(delay time.Duration) error {
	if delay <= 0 {
		return d.answer("-NAK")
	}
	return d.answer(fmt.Sprintf(`-NAK {"delay": %d}`, delay))
}

// Extend begins AckWait anew.
func (d *Delivery) Extend() error { return d.answer("+WPI") }

// answer is not confirmed: what gets lost is delivered again, and the record decides.
func (d *Delivery) answer(what string) error {
	if err := d.nc.Publish(d.reply, []byte(what)); err != nil {
		return fmt.Errorf("%s %s: %w", d.subject(), what[:4], explain(err))
	}
	return nil
}
