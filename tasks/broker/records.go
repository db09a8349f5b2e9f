package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Record is a document in the stream of records.
type Record struct {
	Subject string
	Data    []byte    // nil: it was deleted, or has expired
	Seq     uint64    // its revision: the sequence number of the write; 0 is none
	Time    time.Time // of the write
}

// headers of messages.
const (
	headSubject  = "Nats-Subject"
	headSequence = "Nats-Sequence"
	headTime     = "Nats-Time-Stamp"
	headPending  = "Nats-Num-Pending"
	headLast     = "Nats-Last-Sequence"
	headTTL      = "Nats-TTL"
	headExpect   = "Nats-Expected-Last-Subject-Sequence"
	headReason   = "Nats-Marker-Reason" // left by the server in place of what has expired
	headKV       = "KV-Operation"       // PURGE: left in place of what was deleted
	headStatus   = "Status"
	headSize     = "Nats-Msg-Size" // in place of the data, where only headers were asked for
	headWrite    = "Rp-W"          // which write made it
	headRev      = "Rp-Rev"        // of work: the revision of the record that is told with it
)

// gone reports whether a message stands in the place of a record that is no more.
func gone(h nats.Header) bool { return h.Get(headReason) != "" || h.Get(headKV) != "" }

// Get reads a record as it is now. ErrNotFound where there is none, or no more.
func (b *Broker) Get(ctx context.Context, subject string) (Record, error) {
	r, _, err := b.last(ctx, recordStream, subject)
	if err == nil && r.Data == nil {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("record %s: %w", subject, err)
	}
	return r, nil
}

// last reads the last message of a subject, from the stream's leader: a follower may be
// behind, and whoever writes on condition has to know.
func (b *Broker) last(ctx context.Context, stream, subject string) (r Record, h nats.Header, err error) {
	err = b.persist(ctx, func(ctx context.Context) error {
		if b.replicas > 1 {
			r, h, err = b.leaderGet(ctx, stream, subject)
		} else {
			r, h, err = b.directGet(ctx, stream, subject)
		}
		return err
	})
	return r, h, err
}

func (b *Broker) directGet(ctx context.Context, stream, subject string) (Record, nats.Header, error) {
	m, err := b.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream+"."+subject, nil)
	if err != nil {
		return Record{}, nil, err
	}
	switch status := m.Header.Get(headStatus); status {
	case "":
		r, err := direct(m)
		return r, m.Header, err
	case "404":
		return Record{}, nil, ErrNotFound
	default:
		return Record{}, nil, fmt.Errorf("status %s %s", status, m.Header.Get("Description"))
	}
}

// direct is the record in the answer to a direct get.
func direct(m *nats.Msg) (Record, error) {
	seq, err := strconv.ParseUint(m.Header.Get(headSequence), 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("answer without a sequence number: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headTime))
	if err != nil {
		return Record{}, fmt.Errorf("answer without a time: %w", err)
	}
	r := Record{Subject: m.Header.Get(headSubject), Seq: seq, Time: at}
	if !gone(m.Header) {
		r.Data = solid(m.Data)
	}
	return r, nil
}

// solid is data that is not nil, which means deleted.
func solid(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

func (b *Broker) leaderGet(ctx context.Context, stream, subject string) (Record, nats.Header, error) {
	ask, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return Record{}, nil, err
	}
	m, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, ask)
	if err != nil {
		return Record{}, nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  string    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return Record{}, nil, fmt.Errorf("answer: %w", err)
	}
	if answer.Error != nil {
		if answer.Error.Code == 404 {
			return Record{}, nil, ErrNotFound
		}
		return Record{}, nil, answer.Error
	}
	got := answer.Message
	r := Record{Subject: got.Subject, Seq: got.Seq, Time: got.Time}
	var h nats.Header
	if got.Header != "" {
		text, err := base64.StdEncoding.DecodeString(got.Header)
		if err == nil {
			h, err = nats.DecodeHeadersMsg(text)
		}
		if err != nil {
			return Record{}, nil, fmt.Errorf("answer: headers: %w", err)
		}
	}
	if !gone(h) {
		r.Data = solid(got.Data)
	}
	return r, h, nil
}

// getGroup is how many records one request asks for; the server allows 1024.
const getGroup = 500

// few is up to how many records the engine in this process is asked for one by one: to
// set up a request for several takes as long as some ten of those.
const few = 8

// GetAll reads records, in the order of subjects; where there is none, Seq is 0.
func (b *Broker) GetAll(ctx context.Context, subjects []string) ([]Record, error) {
	out, err := b.lastAll(ctx, recordStream, subjects)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	for i := range out {
		if out[i].Data == nil {
			out[i] = Record{Subject: subjects[i]}
		}
	}
	return out, nil
}

// lastAll reads the last messages of subjects; those of deleted ones have no data.
func (b *Broker) lastAll(ctx context.Context, stream string, subjects []string) ([]Record, error) {
	out := make([]Record, len(subjects))
	switch {
	case b.replicas > 1:
		return out, b.singleGets(ctx, stream, subjects, out, 32)
	case b.server != nil && len(subjects) <= few:
		return out, b.singleGets(ctx, stream, subjects, out, 1)
	}
	place := make(map[string][]int, len(subjects))
	for i, s := range subjects {
		place[s] = append(place[s], i)
	}
	for first := 0; first < len(subjects); first += getGroup {
		group := subjects[first:min(first+getGroup, len(subjects))]
		ask := map[string]any{"multi_last": group, "max_bytes": 16 << 20}
		for from := uint64(0); ; {
			if from > 0 {
				ask["seq"] = from
			}
			last, more, err := b.directBatch(ctx, stream, ask, func(r Record, _ *nats.Msg) error {
				for _, i := range place[r.Subject] {
					out[i] = r
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
			from = last + 1
		}
	}
	return out, nil
}

// singleGets asks for each record by itself, so many at a time.
func (b *Broker) singleGets(ctx context.Context, stream string, subjects []string, out []Record, at int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return each(len(subjects), at, func(i int) error {
		r, _, err := b.last(ctx, stream, subjects[i])
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			cancel()
			return fmt.Errorf("%s: %w", subjects[i], err)
		}
		out[i] = r
		return nil
	})
}

// directBatch asks for several messages; f gets them in the order of their sequence
// numbers. last is the last of these, more says whether there are further ones.
func (b *Broker) directBatch(ctx context.Context, stream string, ask map[string]any, f func(Record, *nats.Msg) error) (last uint64, more bool, err error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return 0, false, err
	}
	if len(body) > maxPayload {
		return 0, false, ErrTooLarge
	}
	var got []*nats.Msg
	err = b.persist(ctx, func(ctx context.Context) error {
		got, more, err = b.collect(ctx, "$JS.API.DIRECT.GET."+stream, body)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	for _, m := range got {
		r, err := direct(m)
		if err != nil {
			return last, false, err
		}
		last = r.Seq
		if err := f(r, m); err != nil {
			return last, false, err
		}
	}
	return last, more && len(got) > 0, nil
}

// errGap is an answer of which a part was lost.
var errGap = fmt.Errorf("%w: a part of the answer was lost", nats.ErrTimeout)

// errMany is an answer that would be too large.
var errMany = errors.New("too many results")

// collect sends a request and takes all messages of its answer.
func (b *Broker) collect(ctx context.Context, subject string, body []byte) (got []*nats.Msg, more bool, err error) {
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails on a closed connection only
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, false, err
	}
	if err := b.nc.PublishRequest(subject, inbox, body); err != nil {
		return nil, false, err
	}
	var last uint64
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, false, err
		}
		switch status := m.Header.Get(headStatus); status {
		case "":
			if before := m.Header.Get(headLast); before != "" && before != strconv.FormatUint(last, 10) {
				return nil, false, errGap
			}
			if last, err = strconv.ParseUint(m.Header.Get(headSequence), 10, 64); err != nil {
				return nil, false, fmt.Errorf("answer without a sequence number: %w", err)
			}
			got = append(got, m)
		case "204": // the end
			if end := m.Header.Get(headLast); end != "" && end != strconv.FormatUint(last, 10) {
				return nil, false, errGap
			}
			pending := m.Header.Get(headPending)
			return got, pending != "" && pending != "0", nil
		case "404":
			return got, false, nil
		case "503":
			return nil, false, nats.ErrNoResponders
		case "413":
			return nil, false, errMany
		default:
			return nil, false, fmt.Errorf("status %s %s", status, m.Header.Get("Description"))
		}
	}
}

// Range calls f with the records whose subjects match filter, such as rp.s.<job>.*, in
// the order of their last writes, and holds a few MiB at a time. One that is written
// meanwhile may come twice, the later one last. In a cluster it may miss what was
// written in the last moments.
func (b *Broker) Range(ctx context.Context, filter string, f func(Record) error) error {
	err := b.rangeOf(ctx, recordStream, filter, func(r Record) error {
		if r.Data == nil {
			return nil
		}
		return f(r)
	})
	if err != nil {
		return fmt.Errorf("records %s: %w", filter, err)
	}
	return nil
}

// rangeOf reads up to a thousand by one request, which the server answers from its index
// of subjects, and more through a consumer.
func (b *Broker) rangeOf(ctx context.Context, stream, filter string, f func(Record) error) error {
	last, more := uint64(0), true
	for last == 0 || more {
		ask := map[string]any{"multi_last": []string{filter}, "seq": last + 1, "max_bytes": 4 << 20}
		var err error
		last, more, err = b.directBatch(ctx, stream, ask, func(r Record, _ *nats.Msg) error { return f(r) })
		if errors.Is(err, errMany) {
			break
		}
		if err != nil || !more {
			return err
		}
	}
	return b.feed(ctx, subscription{stream: stream, filter: filter, from: last, once: true}, func(ms []*nats.Msg) error {
		for _, m := range ms {
			r, err := delivered(m)
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// readAll reads a whole stream without a consumer.
func (b *Broker) readAll(ctx context.Context, stream string, f func(Record) error) error {
	for from := uint64(1); ; {
		ask := map[string]any{"seq": from, "batch": getGroup, "max_bytes": 4 << 20}
		last, more, err := b.directBatch(ctx, stream, ask, func(r Record, _ *nats.Msg) error { return f(r) })
		if err != nil || !more {
			return err
		}
		from = last + 1
	}
}

// LastSeq is the sequence number of the last write of all records.
func (b *Broker) LastSeq(ctx context.Context) (uint64, error) {
	info, err := b.info(ctx, recordStream)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}
