package stages

import (
	"fmt"
	"math"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// assigned says where the rows of a frame belong: each is in one list.
type assigned struct {
	windows []windowRows // in the order of their first rows
	late    []windowRows
}

type windowRows struct {
	start int64
	rows  []int32
	why   error // of those that are late
}

// assign finds the window of each row, and moves the mark on, row by row: which
// rows are late does not depend on how the stream was cut into batches.
func (w *windows) assign(f frame.Frame) (a assigned) {
	k := w.clock
	column := f.Column(k.column)
	at := timesOf(column)
	open, late := map[int64]int{}, map[int64]int{}
	timeless := windowRows{}
	cur, curStart := -1, int64(math.MinInt64) // the window of the row before: as a rule the next row's as well
	for i := range int(f.NumRows()) {
		if column.IsNull(i) {
			timeless.rows = append(timeless.rows, int32(i))
			continue
		}
		t := at(i)
		start := k.start(t)
		if w.begun && start+k.every <= w.mark {
			n, ok := late[start]
			if !ok {
				n = len(a.late)
				late[start] = n
				a.late = append(a.late, windowRows{start: start, why: w.lateness(start)})
			}
			a.late[n].rows = append(a.late[n].rows, int32(i))
			continue
		}
		if cur < 0 || start != curStart {
			n, ok := open[start]
			if !ok {
				n = len(a.windows)
				open[start] = n
				a.windows = append(a.windows, windowRows{start: start})
			}
			cur, curStart = n, start
		}
		a.windows[cur].rows = append(a.windows[cur].rows, int32(i))
		w.seen(t)
	}
	if len(timeless.rows) > 0 {
		timeless.why = k.noTime()
		a.late = append(a.late, timeless)
	}
	return a
}

// seen moves the mark on.
func (w *windows) seen(t int64) {
	switch {
	case !w.begun:
		w.begun, w.largest, w.mark = true, t, t-w.clock.lateness
	case t > w.largest:
		w.largest = t
		w.mark = max(w.mark, t-w.clock.lateness)
	}
}

// lateness is why the rows of a window that is closed are late.
func (w *windows) lateness(start int64) error {
	k := w.clock
	how := "of which so much time has passed without a row (window.idle)"
	if start+k.every <= w.largest-k.lateness {
		how = fmt.Sprintf("since a row of %s has come, and window.lateness is %v", k.name(w.largest), time.Duration(w.config.Window.Lateness))
	}
	return &lateError{fmt.Errorf("late: the window from %s to %s is closed, %s", k.name(start), k.name(start+k.every), how)}
}
