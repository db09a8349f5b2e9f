package dashboard

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// funcs are what templates can call.
var funcs = template.FuncMap{
	"number": number, "bytes": bytesText, "duration": durationText, "seconds": secondsText, "ago": ago, "at": at,
	"stateClass": stateClass, "stateMark": stateMark, "icon": icon, "join": strings.Join, "percent": percent, "plural": plural,
	"nav": func() []navEntry { return navigation }, "dict": dict, "short": short, "between": betweenAny, "segments": segments, "runMark": runMark, "json": indented, "times100": times100, "word": stateWord,
	"lower": strings.ToLower, "words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
}

// number writes a whole number with commas.
func number(v any) string {
	var n int64
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32:
		n = r.Int()
	case reflect.Uint64, reflect.Uint32:
		n = int64(r.Uint())
	default:
		return fmt.Sprint(v)
	}
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return number(int64(math.Round(v)))
	case v >= 10:
		return trimZeros(strconv.FormatFloat(v, 'f', 1, 64))
	}
	return trimZeros(strconv.FormatFloat(v, 'f', 2, 64))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// bytesText writes a size.
func bytesText(v any) string {
	n := float64(reflect.ValueOf(v).Int())
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	if i == 0 || n >= 100 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + units[i]
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " " + units[i]
}

// durationText writes a length of time.
func durationText(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d <= 0:
		return "0"
	case s < 1e-3:
		return digits(s*1e6) + " µs"
	case s < 1:
		return digits(s*1e3) + " ms"
	case s < 10:
		return trimZeros(strconv.FormatFloat(s, 'f', 1, 64)) + " s"
	case s < 60:
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
	return long(d)
}

// long writes a length of time in two units.
func long(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", max(s, 0))
	case s < 600 && s%60 > 0:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s%86400/3600)
}

// secondsText writes seconds that may not be there.
func secondsText(v any) string {
	switch s := v.(type) {
	case *float64:
		if s == nil {
			return "–"
		}
		return durationText(time.Duration(*s * 1e9))
	case api.Duration:
		return durationText(time.Duration(s))
	case float64:
		return durationText(time.Duration(s * 1e9))
	}
	return "–"
}

// between is how long it took from one time to another, or to now; "–" where it has not
// begun.
func between(from, to *time.Time) string {
	if from == nil {
		return "–"
	}
	if to == nil {
		return durationText(time.Since(*from))
	}
	return durationText(to.Sub(*from))
}

// betweenAny is between of what templates have: times, or nothing.
func betweenAny(from, to any) string {
	a, ok := timeOf(from)
	if !ok {
		return "–"
	}
	if b, ended := timeOf(to); ended {
		return between(&a, &b)
	}
	return between(&a, nil)
}

func timeOf(v any) (time.Time, bool) {
	switch t := v.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *time.Time:
		if t == nil {
			return time.Time{}, false
		}
		return *t, true
	}
	return time.Time{}, false
}

// ago writes a time as what it is from now, with the time itself for who asks.
func ago(v any) template.HTML {
	t, ok := timeOf(v)
	if !ok {
		return "–"
	}
	text, d := "", time.Since(t)
	switch {
	case d < -2*time.Second:
		text = "in " + long(-d)
	case d < 2*time.Second:
		text = "just now"
	default:
		text = long(d) + " ago"
	}
	return timeHTML(t, "ago", text)
}

// at writes a time of day, with the day where it is another.
func at(v any) template.HTML {
	t, ok := timeOf(v)
	if !ok {
		return "–"
	}
	return timeHTML(t, "at", t.UTC().Format("2 Jan 2006, 15:04:05")+" UTC")
}

// timeHTML is a time that the page's script writes in the reader's own zone.
func timeHTML(t time.Time, kind, text string) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-time="%s" title="%s UTC">%s</time>`,
		t.Format(time.RFC3339Nano), kind, t.Format("Mon 2 Jan 2006, 15:04:05"), text))
}

// percent is a share of a whole.
func percent(part, whole int64) string {
	if whole == 0 {
		return "0"
	}
	return digits(100 * float64(part) / float64(whole))
}

// short is the end of an id, which tells those of a time apart.
func short(id string) string {
	job, n, _ := strings.Cut(id, ".")
	if len(job) > 8 {
		job = "…" + job[len(job)-6:]
	}
	if n != "" {
		return job + "." + n
	}
	return job
}

// stateClasses say how a state looks, stateMarks by which letter it is told where there
// is no room for its name, whoever cannot tell the colours apart.
var (
	stateClasses = map[string]string{
		"PENDING": "wait", "DEFERRED": "wait", "RUNNING": "info", "COMPLETE": "ok", "ERROR": "bad", "CANCELLED": "dim",
		"DIED": "bad", "TIMEOUT": "bad", "IMPOSSIBLE": "bad", "MOVED": "dim", "MISSING": "dim",
		"WAITING": "wait", "RETRYING": "warn", "SKIPPED": "dim", "MISSED": "warn", // of runs
		"init": "wait", "running": "info", "finish": "ok", "failed": "bad", "canceled": "dim", // of jobs
		"IDLE": "ok", "BUSY": "info", "PAUSED": "warn", "STOPPING": "warn", "LOST": "bad", // of workers
	}
	stateMarks = map[string]string{
		"PENDING": "·", "DEFERRED": "w", "RUNNING": "R", "COMPLETE": "✓", "ERROR": "E", "CANCELLED": "–", "DIED": "D",
		"TIMEOUT": "T", "IMPOSSIBLE": "I", "MOVED": "→",
	}
)

func stateClass(s string) string { return stateClasses[s] }
func stateMark(s string) string  { return stateMarks[s] }

// stateWord is a state for people: those of jobs have restbatch's words in the API.
func stateWord(s string) string {
	switch s {
	case "init":
		return "waiting"
	case "finish":
		return "complete"
	case "canceled":
		return "cancelled"
	}
	return strings.ToLower(strings.ReplaceAll(s, "_", " "))
}

// runMark is how a run is marked in the calendar.
func runMark(s string) string {
	switch stateClasses[s] {
	case "ok":
		return "✓"
	case "bad":
		return "✕"
	case "info":
		return "▶"
	case "warn":
		return "!"
	case "wait":
		return "…"
	}
	return "–"
}

// worst are states in the order in which one stands for a part of a job: what somebody
// has to see first.
var worst = []string{"ERROR", "DIED", "TIMEOUT", "IMPOSSIBLE", "RUNNING", "CANCELLED", "PENDING", "DEFERRED", "MOVED", "COMPLETE"}

// stateNames are all states of tasks.
func stateNames() []string {
	var all []string
	for _, s := range tasks.States {
		all = append(all, string(s))
	}
	return all
}

// count is a state and how many there are.
type count struct {
	State string
	N     int64
}

// countsOf are those of a document, in the order of States, then others by name.
func countsOf(states map[string]int64) []count {
	var all []count
	for _, s := range stateNames() {
		if n := states[s]; n > 0 {
			all = append(all, count{s, n})
		}
	}
	for _, s := range slices.Sorted(maps.Keys(states)) {
		if n := states[s]; n > 0 && !slices.Contains(stateNames(), s) {
			all = append(all, count{s, n})
		}
	}
	return all
}

// dict is what a template gives another.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict has a name without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict has %v for a name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// navEntry is an entry of the navigation.
type navEntry struct{ Name, Title, Path, Icon, Key string }

var navigation = []navEntry{
	{"overview", "Overview", "/ui/", "gauge", "o"},
	{"jobs", "Jobs", "/ui/jobs", "layers", "j"},
	{"tasks", "Tasks", "/ui/tasks", "list", "t"},
	{"queues", "Queues", "/ui/queues", "queue", "q"},
	{"workers", "Workers", "/ui/workers", "cpu", "w"},
	{"schedules", "Schedules", "/ui/schedules", "clock", "s"},
	{"pipelines", "Pipelines", "/ui/pipelines", "flow", "p"},
	{"apis", "APIs", "/ui/apis", "plug", "a"},
	{"settings", "Settings", "/ui/settings", "cog", "c"},
}

// icons are drawn on 24 by 24, by lines.
var icons = map[string]string{
	"gauge":    `<path d="M4 19a9 9 0 1 1 16 0"/><path d="m12 15 4-5"/><circle cx="12" cy="15" r="1.4"/>`,
	"layers":   `<path d="m12 3 9 5-9 5-9-5z"/><path d="m3 12.5 9 5 9-5"/><path d="m3 16.5 9 5 9-5"/>`,
	"list":     `<path d="M9 6h11M9 12h11M9 18h11"/><path d="m3.5 6 1 1 2-2M3.5 12l1 1 2-2M3.5 18l1 1 2-2"/>`,
	"queue":    `<rect x="3" y="5" width="5" height="14" rx="1.5"/><rect x="10" y="5" width="5" height="14" rx="1.5"/><path d="M18 8l3 4-3 4"/>`,
	"cpu":      `<rect x="6" y="6" width="12" height="12" rx="2"/><rect x="10" y="10" width="4" height="4"/><path d="M9 2v4M15 2v4M9 18v4M15 18v4M2 9h4M2 15h4M18 9h4M18 15h4"/>`,
	"clock":    `<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>`,
	"flow":     `<rect x="3" y="4" width="6" height="6" rx="1.5"/><rect x="15" y="4" width="6" height="6" rx="1.5"/><rect x="9" y="15" width="6" height="6" rx="1.5"/><path d="M9 7h6M18 10v4l-4 2M6 10v4l4 2"/>`,
	"plug":     `<path d="M9 3v6M15 3v6M6 9h12v3a6 6 0 0 1-12 0zM12 18v3"/>`,
	"cog":      `<circle cx="12" cy="12" r="3"/><path d="M12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M5.3 18.7l2.1-2.1M16.6 7.4l2.1-2.1"/>`,
	"search":   `<circle cx="11" cy="11" r="6.5"/><path d="m16 16 5 5"/>`,
	"download": `<path d="M12 4v11M7 11l5 5 5-5M4 20h16"/>`,
	"menu":     `<path d="M4 7h16M4 12h16M4 17h16"/>`,
	"user":     `<circle cx="12" cy="8" r="4"/><path d="M4 21c1-4.5 4-6.5 8-6.5s7 2 8 6.5"/>`,
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`)
}

// times100 makes a share one of a hundred.
func times100(v any) float64 {
	switch v := v.(type) {
	case float64:
		return 100 * v
	case *float64:
		return 100 * *v
	}
	return 0
}
