package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// calendar is what ran and what is due, by schedule and day.
type calendar struct {
	Span         string // week or month
	From, To     time.Time
	Before, Next string // queries of the spans beside
	Days         []day
	Rows         []calendarRow
	Cut          bool // there were more runs than are shown
}

type day struct {
	At             time.Time
	Today, Weekend bool
}

type calendarRow struct {
	Name  string
	Cells []calendarCell
}

// calendarCell is a day of a schedule: its runs by what came of them, and times to come.
type calendarCell struct {
	Runs  []count
	Due   int
	Least bool      // there are more of them than are counted
	First time.Time // of those
	Title string
}

const (
	calendarRuns = 1000
	calendarNext = 1000
)

func (d *Dashboard) schedules(r *http.Request) (*view, error) {
	var all api.Schedules
	if err := d.get(r, "/v1/schedules", nil, &all); err != nil {
		return nil, err
	}
	c, err := d.calendar(r, all.Schedules)
	if err != nil {
		return nil, err
	}
	data := struct {
		Schedules []api.Schedule
		Calendar  *calendar
	}{all.Schedules, c}
	return &view{Title: "Schedules", Nav: "schedules", Live: "runs schedules tick", Data: &data}, nil
}

func (d *Dashboard) calendar(r *http.Request, all []api.Schedule) (*calendar, error) {
	if len(all) == 0 {
		return nil, nil
	}
	q := r.URL.Query()
	now := d.now().UTC()
	today := now.Truncate(24 * time.Hour)
	c := &calendar{Span: "week"}
	base := today
	if t, err := time.Parse(time.DateOnly, q.Get("day")); err == nil {
		base = t
	}
	if q.Get("span") == "month" {
		c.Span = "month"
		c.From = base.AddDate(0, 0, 1-base.Day())
		c.To = c.From.AddDate(0, 1, 0)
		c.Before, c.Next = span("month", c.From.AddDate(0, -1, 0)), span("month", c.To)
	} else {
		c.From = base.AddDate(0, 0, -3) // what was and what comes
		c.To = c.From.AddDate(0, 0, 7)
		c.Before, c.Next = span("week", base.AddDate(0, 0, -7)), span("week", base.AddDate(0, 0, 7))
	}
	days := map[time.Time]int{}
	for at := c.From; at.Before(c.To); at = at.AddDate(0, 0, 1) {
		days[at] = len(c.Days)
		c.Days = append(c.Days, day{at, at.Equal(today), at.Weekday() == time.Saturday || at.Weekday() == time.Sunday})
	}
	for _, s := range all {
		row := calendarRow{Name: s.Name, Cells: make([]calendarCell, len(c.Days))}
		if err := d.past(r, c, days, &row); err != nil {
			return nil, err
		}
		if c.To.After(now) && !s.Gone && !s.Paused && s.Next != nil {
			var next api.Times
			if err := d.get(r, "/v1/schedules/"+s.Name+"/next", values("n", strconv.Itoa(calendarNext)), &next); err != nil && faultOf(err).Status >= 500 {
				return nil, err
			}
			for k, t := range next.Times {
				if i, in := days[t.UTC().Truncate(24*time.Hour)]; in {
					cell := &row.Cells[i]
					if cell.Due++; cell.Due == 1 {
						cell.First = t
					}
					cell.Least = k == calendarNext-1
				}
			}
		}
		for i := range row.Cells {
			row.Cells[i].tell()
		}
		c.Rows = append(c.Rows, row)
	}
	return c, nil
}

// past counts the runs of a schedule into its days.
func (d *Dashboard) past(r *http.Request, c *calendar, days map[time.Time]int, row *calendarRow) error {
	var runs api.Runs
	q := values("since", c.From.Format(time.RFC3339), "until", c.To.Format(time.RFC3339), "limit", strconv.Itoa(calendarRuns))
	if err := d.get(r, "/v1/schedules/"+row.Name+"/runs", q, &runs); err != nil && faultOf(err).Status != http.StatusNotFound {
		return err
	}
	c.Cut = c.Cut || runs.Next != ""
	states := make([]map[string]int64, len(c.Days))
	for _, run := range runs.Runs {
		if i, in := days[run.Scheduled.UTC().Truncate(24*time.Hour)]; in {
			if states[i] == nil {
				states[i] = map[string]int64{}
			}
			states[i][run.State]++
		}
	}
	for i, s := range states {
		row.Cells[i].Runs = countsOf(s)
	}
	return nil
}

func (c *calendarCell) tell() {
	for _, n := range c.Runs {
		c.Title += number(n.N) + " " + n.State + ", "
	}
	if c.Due > 0 {
		if c.Least {
			c.Title += "at least "
		}
		c.Title += number(c.Due) + " due, the first at " + c.First.UTC().Format("15:04") + " UTC, "
	}
	if c.Title != "" {
		c.Title = c.Title[:len(c.Title)-2]
	}
}

func span(name string, at time.Time) string {
	return "?span=" + name + "&day=" + at.Format(time.DateOnly) + "#calendar"
}

// mayChange reports whether he may pause, run and cancel what an owner has.
func (w *Who) mayChange(owner string) bool {
	return w.can("admin") || w.can("submit") && w.Owner == owner
}

// schedule is one of them, with its runs and times to come.
func (d *Dashboard) schedule(r *http.Request) (*view, error) {
	name := r.PathValue("name")
	var data struct {
		api.Schedule
		Times []time.Time
		Runs  []api.Run
		Next  string
		Own   bool
	}
	if err := d.get(r, "/v1/schedules/"+name, nil, &data.Schedule); err != nil {
		return nil, err
	}
	var times api.Times
	if err := d.get(r, "/v1/schedules/"+name+"/next", values("n", "8"), &times); err == nil {
		data.Times = times.Times
	}
	var runs api.Runs
	if err := d.get(r, "/v1/schedules/"+name+"/runs", values("limit", "50", "after", r.URL.Query().Get("after")), &runs); err != nil {
		return nil, err
	}
	data.Runs = runs.Runs
	if runs.Next != "" {
		data.Next = "?" + values("after", runs.Next).Encode()
	}
	who := d.o.Who(r)
	data.Own = who.mayChange(data.Owner) && !data.Gone
	return &view{Title: name, Nav: "schedules", Live: "runs schedules tick", Data: &data}, nil
}

// run is one run of a schedule.
func (d *Dashboard) run(r *http.Request) (*view, error) {
	id := r.PathValue("id")
	var data struct {
		api.Run
		Log      []api.LogLine
		More     bool
		LogError string
		After    uint64
		Text     string // of the report
		Own      bool
		Over     bool
	}
	if err := d.get(r, "/v1/runs/"+id, nil, &data.Run); err != nil {
		return nil, err
	}
	var err error
	if data.Log, data.More, err = d.lines(r, "/v1/runs/"+id+"/log", logLines); err != nil {
		data.LogError = faultOf(err).Message
	}
	if n := len(data.Log); n > 0 {
		data.After = data.Log[n-1].Seq
	}
	data.Text = indented(data.Report)
	data.Over = data.Ended != nil
	var s api.Schedule
	who := d.o.Who(r)
	if d.get(r, "/v1/schedules/"+data.Schedule, nil, &s) == nil {
		data.Own = who.mayChange(s.Owner)
	}
	live := "runs tick"
	if data.Over {
		live = ""
	}
	return &view{Title: "Run of " + data.Schedule, Nav: "schedules", Live: live, Data: &data}, nil
}

// scheduleAction does something to a schedule.
func (d *Dashboard) scheduleAction(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		here, path := "/ui/schedules/"+name, "/v1/schedules/"+name+"/"+what
		f := &flash{Text: "Schedule " + name + map[string]string{"pause": " is paused: nothing of it is due.", "resume": " goes on."}[what]}
		var err error
		switch what {
		case "run":
			var run api.Run
			err = d.ask(r, http.MethodPost, path, nil, api.RunRequest{}, &run)
			f.Text, f.Link = "Schedule "+name+" runs.", "/ui/runs/"+run.ID
		case "backfill":
			var b api.Backfill
			err = d.ask(r, http.MethodPost, path, nil, api.BackfillRequest{From: r.PostFormValue("from"), To: r.PostFormValue("to")}, &b)
			f.Text = "The times from " + b.From.Format("2006-01-02 15:04") + " to " + b.To.Format("2006-01-02 15:04") + " are made up for, one at a time."
		default:
			err = d.ask(r, http.MethodPost, path, nil, nil, nil)
		}
		if err != nil {
			f = failed("schedule "+name, err)
		}
		d.Changed("schedules", "")
		back(w, r, here, f)
	}
}

// cancelRun cancels a run, or a backfill.
func (d *Dashboard) cancelRun(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !d.confirmed(w, r, "Cancel run "+short(id)+"? What it is doing is stopped.", "Cancel") {
		return
	}
	f := &flash{Text: "Run " + short(id) + " is cancelled."}
	if err := d.ask(r, http.MethodPost, "/v1/runs/"+id+"/cancel", nil, nil, nil); err != nil {
		f = failed("run "+short(id), err)
	}
	d.Changed("runs", "")
	back(w, r, "/ui/runs/"+id, f)
}

func (d *Dashboard) runLog(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d.pass(w, r, "/v1/runs/"+id+"/log", api.Text, fileName(id)+".txt")
}
