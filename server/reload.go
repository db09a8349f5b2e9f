package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// renewal has what a new file says of one of its keys hold. Each is called at every
// reload, also where the file is as it was: what the key names, such as code, may be new.
// An error leaves things as they were.
type renewal struct {
	key   string // of the file
	apply func(ctx context.Context, next *File) error
}

// renewals are the keys that a reload changes, in order. Others take a restart.
func (s *Server) renewals() []renewal {
	return []renewal{
		{"log", s.setLevel},
		{"limits", s.setLimits},
		{"retention", s.setRetention},
		{"r", s.setR},
		{"apis", s.setAPIs},
		{"notify", func(_ context.Context, next *File) error { return s.notify.Set(next.Notify) }}, // which schedules name
		{"schedules", s.setSchedules},
		{"pipelines", s.setPipelines},
	}
}

// Reload reads the configuration file again, and has hold what can change while the
// server runs. A file that cannot be served changes nothing: the error, a *ConfigError,
// says what is wrong and where. One reload at a time goes on.
func (s *Server) Reload(ctx context.Context) (*api.Reload, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.draining.Load() {
		return nil, ErrDraining
	}
	if err := s.front.Reopen(); err != nil {
		s.log.Error("the access log cannot be opened anew", "error", err)
	}
	next, err := s.reread()
	if err != nil {
		return nil, err
	}
	out := &api.Reload{Changed: []string{}}
	holds := *s.held
	applied := map[string]bool{}
	for _, c := range s.renewals() {
		applied[c.key] = true
		different := !sameKey(s.held, next, c.key)
		err := c.apply(ctx, next)
		if ctx.Err() != nil || s.soft.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), context.Cause(s.soft))
		}
		switch {
		case err != nil:
			out.Failed = append(out.Failed, c.key+": "+err.Error())
			s.log.Error("the old goes on: what is new does not work", "key", c.key, "error", err)
		case different:
			out.Changed = append(out.Changed, c.key)
			copyKey(&holds, next, c.key)
		}
	}
	for _, key := range keysOf(next) {
		if !applied[key] && !sameKey(s.held, next, key) {
			out.Restart = append(out.Restart, key)
			s.log.Warn("a reload leaves this as it was when the server started: it takes a restart", "file", next.Path, "key", key)
		}
	}
	s.held = &holds
	s.log.Info("the configuration has been read again", "file", next.Path, "changed", strings.Join(out.Changed, ","),
		"restart", strings.Join(out.Restart, ","), "failed", len(out.Failed))
	return out, nil
}

// ReloadLater is Reload in the background, and calls done after it; what comes of it is
// logged. This is what SIGHUP does.
func (s *Server) ReloadLater(done func()) {
	s.running.Go(func() {
		defer done()
		if _, err := s.Reload(s.soft); err != nil && s.soft.Err() == nil {
			s.log.Error("nothing is changed: the configuration cannot be served", "error", err)
		}
	})
}

// reread is the file as it is now, with the flags.
func (s *Server) reread() (*File, error) {
	var next *File
	var problems configs.Problems
	switch {
	case s.options.Reread != nil:
		next, problems = s.options.Reread()
	case s.file.Path != "":
		next, problems = Load(s.file.Path, s.file.vars)
	default:
		return s.held, nil
	}
	if errs := problems.Errors(); len(errs) > 0 {
		return nil, &ConfigError{errs}
	}
	for _, p := range problems {
		s.log.Warn(p.String())
	}
	return next, nil
}

// setLevel changes the least that is logged.
func (s *Server) setLevel(_ context.Context, next *File) error {
	if s.options.Level != nil {
		s.options.Level.Set(next.Log.Least())
	}
	return nil
}

// setLimits changes what is taken from a request.
func (s *Server) setLimits(_ context.Context, next *File) error {
	l := next.Limits
	s.limits.Store(&l)
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	s.streams.most, s.streams.each = l.Streams, l.StreamsPerOwner
	return nil
}

// setRetention changes how long results are kept of what is submitted from now.
func (s *Server) setRetention(_ context.Context, next *File) error {
	s.queue.SetResultTTL(time.Duration(next.Retention.Results))
	return nil
}

// setR makes what the r block loads the environment default; nothing, where it says nothing
// any more.
func (s *Server) setR(_ context.Context, next *File) error {
	if !next.R.loads() && !s.held.R.loads() {
		return nil
	}
	return s.setDefaultsOf(next)
}

// setAPIs loads the code of all APIs afresh. One whose code does not work keeps what it
// had.
func (s *Server) setAPIs(ctx context.Context, next *File) error {
	return s.apis.Reload(ctx, next.mounted(), func(*proxy.API) bool { return true })
}

// reload answers POST /v1/reload.
func (s *Server) reload(w http.ResponseWriter, r *http.Request, who *who) error {
	s.log.Info("the configuration is read again", "by", who.Owner)
	// What has begun is brought to its end, also where nobody waits for it any more; but a
	// drain does not wait for R code that loads.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	defer context.AfterFunc(s.soft, func() { cancel(ErrDraining) })()
	out, err := s.Reload(ctx)
	var wrong *ConfigError
	if errors.As(err, &wrong) {
		return &api.Fault{Status: http.StatusUnprocessableEntity, Code: "invalid_file", Message: "nothing is changed: " + wrong.Error()}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, 200, out)
}

// keysOf are the keys at the top of a file.
func keysOf(f *File) (keys []string) {
	t := reflect.TypeOf(*f)
	for i := range t.NumField() {
		if key := keyOf(t.Field(i)); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// keyOf is the key of a field; "" where it has none.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

// field is what a file has at a key.
func field(f *File, key string) reflect.Value {
	t := reflect.TypeOf(*f)
	i := slices.IndexFunc(reflect.VisibleFields(t), func(sf reflect.StructField) bool { return keyOf(sf) == key })
	if i < 0 {
		panic(fmt.Sprintf("rpipe.yaml has no key %s", key)) // a mistake in renewals
	}
	return reflect.ValueOf(f).Elem().FieldByIndex(reflect.VisibleFields(t)[i].Index)
}

func sameKey(a, b *File, key string) bool {
	return reflect.DeepEqual(field(a, key).Interface(), field(b, key).Interface())
}

func copyKey(to, from *File, key string) { field(to, key).Set(field(from, key)) }
