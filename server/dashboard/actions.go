package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// jobAction is something that is done to a task or job.
type jobAction struct {
	question string // that is asked before; "" for none
	done     string
}

var jobActions = map[string]jobAction{
	"cancel": {"Cancel %s? What runs is stopped, and what waits does not begin.", "cancelled"},
	"retry":  {"", "tried again"},
	"delete": {"Delete %s, with its result and log? That cannot be undone.", "deleted"},
}

// act does something to the task or job that the path names.
func (d *Dashboard) act(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, id := r.PathValue("kind"), r.PathValue("id")
		if kind != "tasks" && kind != "jobs" {
			d.fault(w, r, notFound("there is no page "+r.URL.Path))
			return
		}
		name := kind[:len(kind)-1] + " " + short(id)
		a := jobActions[what]
		if a.question != "" && !d.confirmed(w, r, fmt.Sprintf(a.question, name), title(what)) {
			return
		}
		method, path := http.MethodPost, "/v1/"+kind+"/"+id+"/"+what
		var in any
		switch what {
		case "delete":
			method, path = http.MethodDelete, "/v1/"+kind+"/"+id
		case "retry":
			in = api.RetryRequest{}
		}
		here := "/ui/" + kind + "/" + id
		var out api.Outcome
		if err := d.ask(r, method, path, nil, in, &out); err != nil {
			back(w, r, here, failed(name, err))
			return
		}
		f := &flash{Text: title(name) + " is " + a.done + "."}
		if out.NewID != "" {
			f.Text, f.Link = title(name)+" is tried again as "+short(out.NewID)+".", "/ui/"+kind+"/"+out.NewID
		}
		if what == "delete" {
			setFlash(w, f)
			http.Redirect(w, r, "/ui/"+kind, http.StatusSeeOther)
			return
		}
		back(w, r, here, f)
	}
}

// actMany does something to tasks that are marked in a list.
func (d *Dashboard) actMany(w http.ResponseWriter, r *http.Request) {
	what := r.PostFormValue("do")
	a, known := jobActions[what]
	ids := r.PostForm["id"]
	switch {
	case !known:
		d.fault(w, r, &api.Fault{Status: http.StatusBadRequest, Message: "The form does not say what to do."})
		return
	case len(ids) == 0:
		back(w, r, "/ui/tasks", &flash{Text: "Nothing is marked: mark tasks in the first column.", Bad: true})
		return
	}
	name := plural(int64(len(ids)), "task")
	if a.question != "" && !d.confirmed(w, r, fmt.Sprintf(a.question, name), title(what)) {
		return
	}
	var out api.Outcomes
	if err := d.ask(r, http.MethodPost, "/v1/"+what, nil, api.RetryRequest{IDs: ids}, &out); err != nil {
		back(w, r, "/ui/tasks", failed(name, err))
		return
	}
	done, why := 0, ""
	for _, o := range out.Outcomes {
		if o.OK {
			done++
		} else if why == "" {
			why = o.Message
		}
	}
	f := &flash{Text: fmt.Sprintf("%s %s.", title(plural(int64(done), "task")), a.done)}
	if why != "" {
		f.Text, f.Bad = f.Text+" "+strconv.Itoa(len(ids)-done)+" not: "+why, true
	}
	back(w, r, "/ui/tasks", f)
}

// queueAction does something to a queue.
func (d *Dashboard) queueAction(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		path, method := "/v1/queues/"+name+"/"+what, http.MethodPost
		var in any
		said := map[string]string{"pause": " is paused: nothing of it is begun.", "resume": " goes on."}[what]
		var purged api.Purged
		var out any
		switch what {
		case "purge":
			if !d.confirmed(w, r, "Cancel every task that waits in queue "+name+"? What runs goes on.", "Purge") {
				return
			}
			out = &purged
		case "limits":
			path, method = "/v1/queues/"+name, http.MethodPut
			n, err := strconv.Atoi(r.PostFormValue("max_length"))
			if err != nil || n < 0 {
				back(w, r, "/ui/queues", &flash{Text: "The limit of queue " + name + " is not a whole number from 0 on; 0 is no limit.", Bad: true})
				return
			}
			in, said = api.QueueSettings{MaxLength: &n}, " takes "+number(n)+" waiting tasks at most."
			if n == 0 {
				said = " has no limit."
			}
		}
		if err := d.ask(r, method, path, nil, in, out); err != nil {
			back(w, r, "/ui/queues", failed("queue "+name, err))
			return
		}
		if what == "purge" {
			said = fmt.Sprintf(": %s cancelled.", plural(purged.Cancelled, "task"))
		}
		d.Changed("queues", "")
		back(w, r, "/ui/queues", &flash{Text: "Queue " + name + said})
	}
}

// workerAction tells a worker something.
func (d *Dashboard) workerAction(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if what == "stop" && !d.confirmed(w, r, "Stop worker "+id+"? It ends; its tasks go back to their queues.", "Stop") {
			return
		}
		var out api.Reply
		err := d.ask(r, http.MethodPost, "/v1/workers/"+id+"/messages", nil, api.Message{Type: what, Text: "by the dashboard"}, &out)
		if err == nil && !out.OK {
			err = errors.New(out.Error)
		}
		if err != nil {
			back(w, r, "/ui/workers", failed("worker "+id, err))
			return
		}
		said := map[string]string{"pause": " is paused: it begins nothing.", "resume": " goes on.", "stop": " is stopping."}[what]
		d.Changed("workers", "")
		back(w, r, "/ui/workers", &flash{Text: "Worker " + id + said})
	}
}

// failed is what is said where something could not be done.
func failed(name string, err error) *flash {
	var f *api.Fault
	message := err.Error()
	if errors.As(err, &f) {
		message = f.Message
	}
	return &flash{Text: title(name) + ": " + message, Bad: true}
}

// title begins with a capital.
func title(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-32) + s[1:]
	}
	return s
}
