// Package notify tells others what happened, by HTTP: a schedule has failed, works again,
// or is late. A target is an address that takes a POST, as any program may, or as Slack
// and those that are like it do.
//
// What is promised: Send does not wait for anybody. A message is kept in a file until it
// is delivered, and tried again with growing pauses, also after a restart; it may arrive
// twice, and is given up, which is logged and counted, after as many attempts as its
// target has. Messages go to loopback, private and link-local addresses only where the
// target allows it, whatever a name resolves to at that moment; redirects are not
// followed. Addresses, headers and secrets of targets are not logged.
package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/configs"
)

// Kinds of messages. Test is sent on demand.
const (
	Failure  = "failure"
	Recovery = "recovery"
	Late     = "late"
	Test     = "test"
)

// Target is where messages go.
type Target struct {
	URL          configs.Secret            `yaml:"url" required:"true" doc:"Where messages are posted: http:// or https://. It is not shown, since that of a chat is a key by itself."`
	Format       string                    `yaml:"format" default:"json" enum:"json|slack" doc:"json: the message with its fields. slack: as Slack's incoming webhooks take it, and Mattermost, Rocket.Chat, Discord with /slack at the end of the address."`
	Headers      map[string]configs.Secret `yaml:"headers" doc:"Headers that are sent along. They are not shown."`
	Secret       configs.Secret            `yaml:"secret" doc:"Signs messages: X-Rpipe-Signature is t=SECONDS,v1=HEX, with the HMAC-SHA256 under this secret of SECONDS, a dot and the body."`
	Timeout      configs.Duration          `yaml:"timeout" default:"10s" min:"1ms" doc:"For one attempt."`
	Retries      int                       `yaml:"retries" default:"10" min:"0" max:"100" doc:"How often a message is tried again, after 1 s, 2 s, 4 s and so on, 5 min at most, or when the target says. 10 take about 17 min."`
	AllowPrivate bool                      `yaml:"allow_private" doc:"The address may be of this machine, of a private network or link-local. Otherwise such a target is refused when its name has been resolved: these addresses lead to what is not meant for everybody, such as the keys that clouds hand out at 169.254.169.254."`
	Only         []string                  `yaml:"only" scalar:"true" enum:"failure|recovery|late" doc:"Which messages it gets. Empty: all."`
}

// Shorthand lets the address stand for the mapping.
func (Target) Shorthand() string { return "url" }

// Check implements configs.Checker.
func (t *Target) Check(report func(field, message, hint string)) {
	u, err := url.Parse(string(t.URL))
	if t.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		report("url", "is no address of a web server", "such as https://hooks.example.com/path")
	} else if err == nil && u.User != nil {
		report("url", "has a user or password in it", "send it as a header: headers: {Authorization: ...}")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		if !goodHeader(name, string(t.Headers[name])) {
			report("headers."+name, "cannot be sent as a header", "a name has letters, digits and -, a value no line breaks")
		}
	}
}

func goodHeader(name, value string) bool {
	token := func(c rune) bool {
		return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !token(c) }) {
		return false
	}
	return !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// Message is what is told. Times may be zero, texts empty.
type Message struct {
	Kind      string    `json:"event"` // failure, recovery, late or test
	Schedule  string    `json:"schedule,omitempty"`
	Run       string    `json:"run,omitempty"`
	Scheduled time.Time `json:"scheduled,omitzero"` // the time that the run is for
	State     string    `json:"state,omitempty"`
	Attempt   int       `json:"attempt,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Error     string    `json:"error,omitempty"`
	Link      string    `json:"link,omitempty"` // to the run on the dashboard
	Server    string    `json:"server,omitempty"`
	Text      string    `json:"text"` // all of it for people; made by Send where it is empty
}

// longestError is how much of an error a message has.
const longestError = 2000

// complete fills in the text.
func (m *Message) complete() {
	if len(m.Error) > longestError {
		m.Error = strings.ToValidUTF8(m.Error[:longestError], "") + "…"
	}
	if m.Text != "" {
		return
	}
	what := "Schedule " + m.Schedule
	switch m.Kind {
	case Failure:
		what += " has failed"
	case Recovery:
		what += " works again"
	case Late:
		what += " is late"
	default:
		what = "A test from rpipe"
	}
	lines := []string{what}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	if !m.Scheduled.IsZero() {
		add("scheduled", m.Scheduled.Format(time.RFC3339))
	}
	add("run", m.Run)
	add("state", m.State)
	if m.Attempt > 1 {
		add("attempt", fmt.Sprint(m.Attempt))
	}
	add("error", m.Error)
	add("server", m.Server)
	add("see", m.Link)
	m.Text = strings.Join(lines, "\n")
}

// Options are those of a Notifier.
type Options struct {
	Dir     string       // where messages are kept until they are delivered; "" is in memory alone
	Version string       // of rpipe, for User-Agent
	Log     *slog.Logger // nil discards
}

// Notifier delivers messages. It is safe for concurrent use.
type Notifier struct {
	o       Options
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	running conc.WaitGroup
	setting sync.Mutex   // over Set
	mu      sync.RWMutex // over targets
	targets map[string]*sender
	pause   func(tries int) time.Duration
	closed  sync.Once
}

// New begins to deliver what is left from before. Close is owed.
func New(targets map[string]Target, o Options) (*Notifier, error) {
	return start(targets, o, pause)
}

func start(targets map[string]Target, o Options, pause func(int) time.Duration) (*Notifier, error) {
	n := &Notifier{o: o, log: o.Log, targets: map[string]*sender{}, pause: pause}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	for name, t := range targets {
		s, err := newSender(name, t, n)
		if err != nil {
			return nil, err
		}
		n.targets[name] = s
	}
	if err := n.load(); err != nil {
		return nil, err
	}
	for _, s := range n.targets {
		s.start()
	}
	return n, nil
}

// Close ends attempts under way. What is not delivered is, after the next start.
func (n *Notifier) Close() {
	n.closed.Do(func() {
		n.stop()
		n.running.Wait()
		n.mu.RLock()
		defer n.mu.RUnlock()
		for _, s := range n.targets {
			s.client.CloseIdleConnections()
		}
	})
}

// Names are those of all targets.
func (n *Notifier) Names() []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Sorted(maps.Keys(n.targets))
}

// UnknownError says that there is no target of a name.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("notify %s: there is no such target in rpipe.yaml", e.Name)
}

// Send has the targets of these names told, those that want messages of its kind. It
// returns at once. The error names those that are not there; the others get it.
func (n *Notifier) Send(names []string, m Message) error {
	var unknown error
	m.complete()
	n.mu.RLock() // until it is added: Set takes over what waits
	defer n.mu.RUnlock()
	for _, name := range names {
		s := n.targets[name]
		switch {
		case s == nil:
			unknown = &UnknownError{name}
		case m.Kind == Test || len(s.target.Only) == 0 || slices.Contains(s.target.Only, m.Kind):
			s.add(n.keep(name, m))
		}
	}
	return unknown
}

// Try sends a message to one target, once and now, and returns what went wrong: an
// *UnknownError, or why it was not taken.
func (n *Notifier) Try(ctx context.Context, name string, m Message) error {
	n.mu.RLock()
	s := n.targets[name]
	n.mu.RUnlock()
	if s == nil {
		return &UnknownError{name}
	}
	m.complete()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	return s.post(ctx, &letter{ID: newID(), Target: name, Message: m})
}

// Stats are the figures of a target.
type Stats struct {
	Name      string
	Host      string // of the address
	Format    string
	Only      []string
	Waiting   int
	Delivered uint64
	Retried   uint64
	Failed    uint64 // given up
	LastError string // "" once something was delivered after it
	LastTime  time.Time
}

// Stats are those of all targets, by name.
func (n *Notifier) Stats() []Stats {
	var out []Stats
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(n.targets)) {
		out = append(out, n.targets[name].figures())
	}
	return out
}

// slack is what Slack's incoming webhooks take. &, < and > are escaped, or text of an
// error could call everybody (Slack's documentation, "Formatting text").
func (m *Message) slack() ([]byte, error) {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	colour := map[string]string{Failure: "danger", Recovery: "good", Late: "warning"}[m.Kind]
	title, rest, _ := strings.Cut(m.Text, "\n")
	type attachment struct {
		Fallback string `json:"fallback"`
		Color    string `json:"color,omitempty"`
		Text     string `json:"text"`
	}
	var body struct {
		Text        string       `json:"text"`
		Attachments []attachment `json:"attachments,omitempty"`
	}
	body.Text = escape.Replace(title)
	if rest != "" {
		body.Attachments = []attachment{{Fallback: body.Text, Color: colour, Text: escape.Replace(rest)}}
	}
	return json.Marshal(&body)
}
