package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	recordStream = "RP_STATE" // records: the last message of each subject
	workStream   = "RP_WORK"  // a message for each task that may be claimed
	liveStream   = "RP_LIVE"  // presence and leaders, in memory
	logStream    = "RP_LOG"   // log lines of tasks
	blobStream   = "RP_BLOB"  // objects, a message each
	chunkStream  = "RP_CHUNK" // what is in large ones
)

// DeletionsKept is how long Feed tells of a deletion or an expiry. Who was away for
// longer has to read all records anew.
const DeletionsKept = 24 * time.Hour

// logsKept is how long log lines stay where nobody drops them before.
const logsKept = 30 * 24 * time.Hour

// LogLines is how many log messages a task keeps: the last ones.
const LogLines = 1000

// Keys of the metadata of the stream of records.
const (
	metaCluster    = "rpipe.cluster"
	metaDurability = "rpipe.durability"
	metaAckWait    = "rpipe.ack_wait"
	metaEpoch      = "rpipe.epoch"
)

// streams are those of a store with so many replicas.
func streams(replicas int) []jetstream.StreamConfig {
	persist := jetstream.DefaultPersistMode
	if replicas == 1 {
		// What a crash takes from work and logs is sent again, or is no loss; without
		// this each message would cost a sync.
		persist = jetstream.AsyncPersistMode
	}
	window := 100 * time.Millisecond // of deduplication, which nothing here uses
	return []jetstream.StreamConfig{
		{
			Name: recordStream, Subjects: []string{"rp.s.>", "rp.j.>", "rp.q.>", "rp.o.>", "rp.e.>", "rp.c.>", "rp.k.>", "rp.r.>", "rp.h.>"},
			Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, Duplicates: window, MaxConsumers: -1,
			AllowDirect: true, AllowAtomicPublish: true, AllowMsgTTL: true, AllowRollup: true, SubjectDeleteMarkerTTL: DeletionsKept,
		},
		{
			Name: workStream, Subjects: []string{"rp.w.>"}, Retention: jetstream.WorkQueuePolicy,
			Storage: jetstream.FileStorage, Replicas: replicas, PersistMode: persist, Duplicates: window, MaxConsumers: -1,
			AllowDirect: true,
		},
		{
			Name: liveStream, Subjects: []string{"rp.live.>"},
			Storage: jetstream.MemoryStorage, Replicas: replicas, MaxMsgsPerSubject: 1, Duplicates: window, MaxConsumers: -1,
			AllowDirect: true, AllowMsgTTL: true, AllowRollup: true, SubjectDeleteMarkerTTL: 10 * time.Minute,
		},
		{
			Name: logStream, Subjects: []string{"rp.log.>"},
			Storage: jetstream.FileStorage, Replicas: replicas, PersistMode: persist, MaxMsgsPerSubject: LogLines, MaxAge: logsKept,
			Duplicates: window, MaxConsumers: -1, AllowDirect: true,
		},
		{
			Name: blobStream, Subjects: []string{"rp.b.>"},
			Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, Duplicates: window, MaxConsumers: -1,
			AllowDirect: true,
		},
		{
			Name: chunkStream, Subjects: []string{"rp.d.>"},
			Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, Duplicates: window, MaxConsumers: -1,
			AllowDirect: true,
		},
	}
}

// provision makes the streams that are missing and brings the others up to date. Where
// another server makes them at the same moment it begins again, with what that has set.
func (b *Broker) provision(ctx context.Context) error {
	ctx, cancel := b.patient(ctx)
	defer cancel()
	for {
		err := b.provisionOnce(ctx)
		if code, _ := apiCode(err); code != codeStreamInUse {
			return err
		}
		if b.rest(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

func (b *Broker) provisionOnce(ctx context.Context) error {
	have, err := b.stream(ctx, recordStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return fmt.Errorf("streams: %w", err)
	case b.o.Replicas == 0:
		b.replicas = have.CachedInfo().Config.Replicas
	}
	meta := map[string]string{metaDurability: string(b.o.Durability), metaAckWait: b.ackWait.String()}
	if b.server == nil {
		meta[metaDurability] = "external"
	}
	if have != nil {
		old := have.CachedInfo().Config.Metadata
		meta[metaCluster], meta[metaEpoch] = old[metaCluster], old[metaEpoch]
		if b.server == nil { // it was set by whoever made the store, unless it is said here
			meta[metaDurability] = old[metaDurability]
			if b.o.AckWait == 0 && old[metaAckWait] != "" {
				meta[metaAckWait] = old[metaAckWait]
			}
		}
	}
	if b.o.Cluster != nil {
		meta[metaCluster] = b.o.Cluster.ID
	}
	if meta[metaEpoch] == "" || b.server != nil && b.server.crashed {
		meta[metaEpoch] = nuid.Next()
	}
	for _, c := range streams(b.replicas) {
		c.Metadata = maps.Clone(meta)
		old, err := b.stream(ctx, c.Name)
		put := b.js.UpdateStream
		switch {
		case err == nil:
			c.PersistMode = old.CachedInfo().Config.PersistMode // it cannot be changed
		case errors.Is(err, jetstream.ErrStreamNotFound):
			put = b.js.CreateStream // which does not change what another server has made since
		default:
			return fmt.Errorf("stream %s: %w", c.Name, err)
		}
		err = b.persistFor(ctx, 4*tryTimeout, func(ctx context.Context) error {
			_, err := put(ctx, c)
			return err
		})
		if err != nil {
			return fmt.Errorf("stream %s with %s: %w", c.Name, plural(c.Replicas, "replica"), err)
		}
	}
	return nil
}

// learn takes from the stream of records what whoever made it has set.
func (b *Broker) learn(ctx context.Context) error {
	s, err := b.stream(ctx, recordStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("there are no tasks at %s: start rpipe serve for it first", b.nc.ConnectedUrlRedacted())
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", recordStream, err)
	}
	info := s.CachedInfo()
	b.replicas = info.Config.Replicas
	meta := info.Config.Metadata
	b.grouped = b.replicas == 1 && meta[metaDurability] == string(Always)
	if d, err := time.ParseDuration(meta[metaAckWait]); err == nil && d > 0 {
		b.ackWait = d
	}
	if j := b.o.Join; j != nil && meta[metaCluster] != j.Cluster {
		return fmt.Errorf("%s belongs to cluster %q, and this worker joins only %q", b.nc.ConnectedUrlRedacted(), meta[metaCluster], j.Cluster)
	}
	return nil
}

// Epoch tells one stream of records from another: sequence numbers mean nothing across
// two of them. It changes when a backup is restored, and when the machine of an embedded
// store has gone down, which may have lost what somebody has already read.
func (b *Broker) Epoch(ctx context.Context) (string, error) {
	info, err := b.info(ctx, recordStream)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(info.Created.UnixNano(), 36) + "-" + info.Config.Metadata[metaEpoch], nil
}

func (b *Broker) stream(ctx context.Context, name string) (s jetstream.Stream, err error) {
	err = b.persist(ctx, func(ctx context.Context) error {
		s, err = b.js.Stream(ctx, name)
		return err
	})
	return s, err
}

func (b *Broker) info(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	s, err := b.stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return s.CachedInfo(), nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
