package sources

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/webapi"
)

// httpReader reads pages ahead of who takes the rows.
type httpReader struct {
	config  *HTTP
	env     *stages.Env
	client  webapi.Doer
	release func() // of the client
	request *apiRequest
	pager   *pager
	records apiRecords
	at      httpPosition

	schema atomic.Pointer[frame.Schema]
	ctx    context.Context   // of the opening, without its end
	ahead  *ahead[*httpRead] // nil before the first read
	cursor string            // after the last read that was taken
	closed bool

	columns [][2]string       // of the schema, for positions
	visited map[[16]byte]bool // pages of this round
	before  [16]byte          // the body of the page before
	warned  bool              // that unique_key is full
	noted   bool              // that the first page has no key for a second
}

// httpRead is a read, and the cursor to save after it.
type httpRead struct {
	*Read
	cursor string
}

// httpPosition is where the reader stands. It has all that makes the same
// requests again, and the same rows of their answers.
type httpPosition struct {
	From   string      `json:"from,omitempty"`   // the cursor that this round asks from
	Page   page        `json:"page"`             // the page to read next
	Index  int         `json:"index,omitempty"`  // records of it that were read
	Total  int64       `json:"total"`            // records that were read
	Ended  bool        `json:"ended,omitempty"`  // the round has no more pages
	Began  string      `json:"began,omitempty"`  // the state of cursors when this round began
	Cursor string      `json:"cursor,omitempty"` // and after what was read
	Schema [][2]string `json:"schema,omitempty"`
}

// readsAhead is how many reads wait to be taken: about a page while another one
// is under way.
const readsAhead = 2

// resume takes a position apart, or begins where the last run has ended.
func (r *httpReader) resume(from string) (err error) {
	saved := r.config.start
	if from != "" {
		if err := decodePosition(from, &r.at); err != nil {
			return err
		}
		if r.at.Index < 0 || r.at.Total < 0 || r.at.Page.Number < 0 || r.at.Page.Offset < 0 {
			return fmt.Errorf("resume: position %q is not one of this source", from)
		}
		saved = r.at.Cursor
	}
	since, err := newCursors(r.config.Since, saved)
	if err != nil {
		return err
	}
	switch {
	case since == nil:
	case from != "":
		since.from = r.at.From
	default:
		r.at.From, r.at.Began, r.at.Cursor = since.from, since.String(), since.String()
	}
	r.records.since, r.cursor = since, r.save()
	if r.at.Schema != nil && r.records.schema == nil {
		s, err := schemaOf(r.at.Schema)
		if err != nil {
			return err
		}
		r.settle(s)
	}
	return nil
}

func (r *httpReader) settle(s *frame.Schema) {
	r.records.settle(s)
	r.columns = pairsOf(s)
	r.schema.Store(s)
}

// Schema is nil until the first records have come, unless the settings give it.
func (r *httpReader) Schema() *frame.Schema { return r.schema.Load() }

// Size is not known.
func (r *httpReader) Size() Size { return Size{} }

// save is the cursor that a later run may begin with. In the middle of a round
// that is the one of before, where records may be to come that are older than
// those that came.
func (r *httpReader) save() string {
	if r.at.Ended || r.config.Since != nil && r.config.Since.Ordered {
		return r.at.Cursor
	}
	return r.at.Began
}

// Traits are what the settings say of the API.
func (r *httpReader) Traits() Traits {
	return Traits{Ordered: r.config.Replayable, Replayable: r.config.Replayable}
}

// Cursor is what to save after the last read that was taken.
func (r *httpReader) Cursor() string { return r.cursor }

// Next starts to ask at its first call.
func (r *httpReader) Next(ctx context.Context) (*Read, error) {
	if r.closed {
		return nil, errClosed
	}
	if r.ahead == nil {
		r.ahead = newAhead(r.ctx, 1, func(_ context.Context, start func(int, job[*httpRead]) bool) error {
			start(readsAhead, func(ctx context.Context, emit func(*httpRead) bool) error {
				if err := r.rounds(ctx, emit); err != nil {
					return fmt.Errorf("http: %w", err)
				}
				return nil
			})
			return nil
		})
	}
	read, err := r.ahead.next(ctx)
	if err != nil {
		return nil, err
	}
	r.cursor = read.cursor
	return read.Read, nil
}

// Close gives up the request that is under way.
func (r *httpReader) Close() error {
	r.closed = true
	if r.ahead != nil {
		r.ahead.close()
	}
	r.release()
	return nil
}

// errStopped says that nobody wants more reads.
var errStopped = errors.New("the reader is closed")

// rounds reads all pages, again and again where the source polls.
func (r *httpReader) rounds(ctx context.Context, emit func(*httpRead) bool) error {
	for {
		if !r.at.Ended {
			if err := r.round(ctx, emit); err != nil {
				return err
			}
		}
		if r.config.Poll <= 0 {
			return nil
		}
		timer := time.NewTimer(time.Duration(r.config.Poll))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		r.at.Page, r.at.Index, r.at.Ended = page{}, 0, false
		if since := r.records.since; since != nil {
			if err := since.turn(); err != nil {
				return err
			}
			r.at.From, r.at.Began = since.from, r.at.Cursor
		}
	}
}

// round reads the pages from r.at on. Those before the columns are known are
// kept until they are.
func (r *httpReader) round(ctx context.Context, emit func(*httpRead) bool) error {
	r.visited, r.before = map[[16]byte]bool{}, [16]byte{}
	var kept []*answer
	records, bytes := 0, int64(0)
	const maxKept = 64 << 20
	for at := r.at.Page; ; {
		a, err := r.ask(ctx, at)
		if err != nil {
			return err
		}
		kept = append(kept, a)
		records, bytes = records+len(a.records), bytes+a.bytes
		if r.records.schema == nil && (a.last || records >= max(r.config.InferRows, 1) || bytes >= maxKept) {
			s, err := r.records.infer(kept)
			if err != nil {
				return err
			}
			if s != nil {
				r.settle(s)
			}
		}
		if r.records.schema != nil || a.last {
			for _, a := range kept {
				if err := r.give(a, emit); err != nil {
					return err
				}
			}
			kept = kept[:0]
		}
		if a.last {
			return r.end(emit)
		}
		at = a.next
	}
}

// ask gets one page.
func (r *httpReader) ask(ctx context.Context, at page) (*answer, error) {
	req, err := r.request.make(r.pager, at, r.at.From)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	a := &answer{page: at, url: resp.URL, method: req.Method, bytes: int64(len(resp.Body))}
	if a.records, err = r.records.find(resp); err == nil {
		err = r.turned(at, req, resp, len(a.records))
	}
	if err == nil {
		var more bool
		a.next, more, err = r.pager.after(at, req, r.request, resp, int64(len(a.records)))
		if err == nil && !more {
			err = r.leftOut(at, resp, len(a.records))
		}
		a.last = !more || r.config.MaxPages > 0 && a.next.Number >= r.config.MaxPages
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: page %d: %w", req.Method, resp.URL, at.Number+1, err)
	}
	return a, nil
}

// turned finds out that the pages go in a circle: a page that was asked for
// before, or, where pages are counted, one that is the one before again.
func (r *httpReader) turned(at page, req *webapi.Request, resp *webapi.Response, records int) error {
	switch r.pager.Type {
	case "json_link", "header_link", "cursor":
		asked := hashOf([]byte(req.URL + " " + at.Token))
		if r.visited[asked] {
			return errors.New("it was read before: the pages go in a circle")
		}
		r.visited[asked] = true
	case "page_number", "offset":
		body := hashOf(resp.Body)
		if at.Number > 0 && records > 0 && body == r.before && r.config.MaxPages == 0 {
			return fmt.Errorf("it is the same as the page before: does the server know the parameter %s? max_pages makes it stop all the same", r.pager.params(at)[0].name)
		}
		r.before = body
	}
	return nil
}

func hashOf(b []byte) (short [16]byte) {
	sum := sha256.Sum256(b)
	copy(short[:], sum[:])
	return short
}

// give emits the rows of a page.
func (r *httpReader) give(a *answer, emit func(*httpRead) bool) error {
	index := 0
	if a.page == r.at.Page {
		index = r.at.Index
	}
	if index > len(a.records) {
		return fmt.Errorf("resume: page %d of %s has %d records now, fewer than the %d that were read", a.page.Number+1, a.url, len(a.records), index)
	}
	for index < len(a.records) {
		f, bad, to, err := r.records.rows(a, index, r.at.Total)
		if err != nil {
			return err
		}
		r.at.Total += int64(to - index)
		index = to
		r.at.Page, r.at.Index = a.page, index
		read := &Read{Frame: f, Rejected: bad}
		if index == len(a.records) {
			r.at.Page, r.at.Index = a.next, 0
			read.Bytes = a.bytes
		}
		if f.NumRows() == 0 && len(bad) == 0 {
			continue
		}
		r.at.Ended = a.last && index == len(a.records)
		if err := r.send(read, emit); err != nil {
			return err
		}
	}
	r.at.Page, r.at.Index = a.next, 0
	return nil
}

// send emits a read that ends at r.at.
func (r *httpReader) send(read *Read, emit func(*httpRead) bool) error {
	r.at.Schema, r.at.Cursor = r.columns, r.records.since.String()
	r.warnFull()
	pos, err := json.Marshal(r.at)
	if err != nil {
		return err
	}
	read.Pos = string(pos)
	if !emit(&httpRead{read, r.save()}) {
		return errStopped
	}
	return nil
}

// end closes a round. Where its last page had no rows, nobody knows yet that the
// cursor may be saved.
func (r *httpReader) end(emit func(*httpRead) bool) error {
	if r.at.Ended || r.records.since == nil || r.at.Cursor == r.at.Began {
		r.at.Ended = true
		return nil
	}
	r.at.Ended = true
	return r.send(&Read{Frame: frame.Empty(r.records.schema)}, emit)
}

// warnFull says once that unique_key cannot hold what it promises.
func (r *httpReader) warnFull() {
	since := r.records.since
	if since == nil || !since.full || r.warned || r.env.Log == nil {
		return
	}
	r.warned = true
	r.env.Log.Warn("unique_key remembers 10,000 records, and there are more within lag of the cursor: some may come again in the next run")
}
