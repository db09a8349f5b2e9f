package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
)

// evalFor is how long the code of an eval message may take.
const evalFor = time.Minute

// listen begins to answer messages.
func (n *Node) listen() error {
	stop, err := n.b.Serve(tasks.MessageSubject(n.o.ID), n.answer)
	if err != nil {
		return err
	}
	n.deaf = append(n.deaf, stop)
	stop, err = n.b.Subscribe(tasks.QueuesChanged, func(string, []byte) {
		select {
		case n.requeue <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	n.deaf = append(n.deaf, stop)
	return nil
}

// hush ends listen.
func (n *Node) hush() {
	for _, stop := range n.deaf {
		stop()
	}
	n.deaf = nil
}

// answer answers one message.
func (n *Node) answer(data []byte) []byte {
	var m tasks.Message
	a := tasks.Answer{}
	err := json.Unmarshal(data, &m)
	if err == nil {
		a.Value, err = n.obey(&m)
	}
	if a.OK = err == nil; err != nil {
		a.Error = err.Error()
	}
	b, err := json.Marshal(a)
	if err != nil {
		return []byte(`{"ok":false,"error":"the answer cannot be written as JSON"}`)
	}
	return b
}

func (n *Node) obey(m *tasks.Message) (any, error) {
	switch m.Type { // between workers
	case "holds":
		return n.holds(m.Tasks), nil
	case "cancelled":
		n.recheck(n.hard, m.Tasks)
		return nil, nil
	}
	n.note("MESSAGE", strings.TrimSpace(m.Type+" "+m.Text))
	switch m.Type {
	case "ping":
		return "pong", nil
	case "echo":
		return m.Text, nil
	case "info":
		return n.Info(), nil
	case "load":
		return n.Info().Load, nil
	case "pause", "resume":
		return nil, n.pause(m.Type == "pause")
	case "refresh":
		n.envs.refresh()
		return nil, nil
	case "stop":
		if m.Text == tasks.StopNow {
			n.drain(nil)
			n.kill(errStopped)
		} else { // what has begun is let end, however long it takes
			n.drainWithin(0)
		}
		return nil, nil
	case "queues":
		return nil, n.setQueues(m.Queues)
	case "timeout_set":
		if m.Seconds < 0 {
			return nil, errors.New("the idle timeout cannot be negative; 0 is none")
		}
		n.mu.Lock()
		n.idle = time.Duration(m.Seconds * float64(time.Second))
		n.mu.Unlock()
		return m.Seconds, nil
	case "timeout_get":
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.idle.Seconds(), nil
	case "eval":
		return n.eval(m.Text)
	}
	return nil, fmt.Errorf("a worker knows no message %q; it knows ping, echo, info, load, pause, resume, refresh, stop, queues, eval, timeout_set and timeout_get", m.Type)
}

// pause claims no more, or more again. What was claimed and has not begun goes back.
func (n *Node) pause(on bool) error {
	n.mu.Lock()
	if n.draining {
		n.mu.Unlock()
		return errors.New("the worker is stopping")
	}
	n.pausing = on
	if on && n.pull != nil {
		n.pull()
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	if on {
		n.giveBack()
	}
	return nil
}

// setQueues changes which queues are taken from, and in which order.
func (n *Node) setQueues(queues []string) error {
	if len(queues) == 0 {
		return errors.New("name at least one queue")
	}
	for _, q := range queues {
		if err := tasks.CheckName("a queue", q); err != nil {
			return err
		}
	}
	n.mu.Lock()
	n.queues = slices.Clone(queues)
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(n.hard, writeFor)
	defer cancel()
	n.readQueues(ctx)
	return n.useQueues(ctx)
}

// readQueues looks which queues are paused, and takes from the others.
func (n *Node) readQueues(ctx context.Context) {
	n.mu.Lock()
	queues := n.queues
	n.mu.Unlock()
	subjects := make([]string, len(queues))
	for i, q := range queues {
		subjects[i] = tasks.QueueSubject(q)
	}
	records, err := n.b.GetAll(ctx, subjects)
	if err != nil {
		if ctx.Err() == nil {
			n.log.Warn("the settings of queues cannot be read for now", "error", err)
		}
		return
	}
	paused := map[string]bool{}
	for i, r := range records {
		if pausedBy(r) {
			paused[queues[i]] = true
		}
	}
	n.mu.Lock()
	changed := n.behind || len(paused) != len(n.paused)
	for q := range paused {
		changed = changed || !n.paused[q]
	}
	n.paused = paused
	n.mu.Unlock()
	if changed {
		if err := n.useQueues(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("queues cannot be changed for now", "error", err)
		}
	}
}

// useQueues takes from those queues that are not paused, from now on. Where it fails,
// readQueues tries it again.
func (n *Node) useQueues(ctx context.Context) error {
	n.using.Lock() // whoever is later knows better
	defer n.using.Unlock()
	n.mu.Lock()
	n.behind = true
	var open []string
	for _, q := range n.queues {
		if !n.paused[q] {
			open = append(open, q)
		}
	}
	n.mu.Unlock()
	if err := n.lanes.SetQueues(ctx, open); err != nil {
		return err
	}
	n.mu.Lock()
	n.behind = false
	n.mu.Unlock()
	n.note("QUEUE", strings.Join(open, ", "))
	n.giveBack()
	return nil
}

// eval has R evaluate code in the environment default, and is what it printed.
func (n *Node) eval(code string) (any, error) {
	ctx, cancel := context.WithTimeout(n.hard, evalFor+10*time.Second)
	defer cancel()
	env, err := n.envs.get(ctx, n.defaultEnv(ctx))
	if err != nil {
		return nil, err
	}
	data, err := rdata.Append(nil, rdataText(code), rdata.Format{})
	if err != nil {
		return nil, err
	}
	reply, err := n.pool.Do(ctx, env, rpool.Interactive, &rpool.Request{
		Kind: rpool.Task, Timeout: evalFor, Label: "eval message",
		Task: &rpool.TaskCall{
			Plan: &rpool.TaskPlan{Key: "eval message", Text: true, Code: rpool.TaskValue{Data: []byte(evalCode)}},
			ID:   "eval", Worker: n.o.ID, Element: data,
		},
	})
	if err != nil {
		return nil, err
	}
	return reply.Output, nil
}

// evalCode prints the value of code, and as a top level would: invisible values not.
const evalCode = `function(code) {
  shown <- withVisible(eval(parse(text = code), globalenv()))
  if (shown$visible) print(shown$value)
  NULL
}`

func rdataText(s string) rdata.Value {
	return &rdata.Character{Offsets: []int64{0, int64(len(s))}, Data: []byte(s)}
}

// defaultEnv is the newest version of the environment default.
func (n *Node) defaultEnv(ctx context.Context) *tasks.Environment {
	if r, err := n.b.Get(ctx, tasks.EnvSubject(tasks.DefaultEnv, 0)); err == nil {
		if doc := n.envs.learn(r); doc != nil {
			return doc
		}
	}
	return &tasks.Environment{Name: tasks.DefaultEnv}
}
