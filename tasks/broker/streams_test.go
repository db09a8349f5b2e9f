package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestServersMakeStreamsAtTheSameMoment: each of several that open an empty store finds
// all streams there, and all know it by one epoch.
func TestServersMakeStreamsAtTheSameMoment(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: maxPayload})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the store is not ready within a minute")
	}
	const n = 3
	var all [n]*Broker
	var errs [n]error
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			all[i], errs[i] = Open(within(t), Options{URLs: []string{s.ClientURL()}, Name: "test", AckWait: 5 * time.Second, Log: logger(t)})
		})
	}
	close(begin)
	wg.Wait()
	epochs := map[string]bool{}
	for i, b := range all {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		epoch, err := b.Epoch(within(t))
		if err != nil {
			t.Fatal(err)
		}
		epochs[epoch] = true
		if st, err := b.Status(within(t)); err != nil || len(st.Streams) != len(streams(1)) {
			t.Errorf("%d streams (%v)", len(st.Streams), err)
		}
		defer b.Close()
	}
	if len(epochs) != 1 {
		t.Errorf("epochs %v", epochs)
	}
}
