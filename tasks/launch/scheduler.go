package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Scheduler is how a cluster's scheduler is spoken to: by its commands. Those in
// Schedulers are known; a site's own may be another.
type Scheduler struct {
	Name   string
	Submit []string       // command; the script's path is added. It prints the job's id
	ID     *regexp.Regexp // whose first group is that id
	List   []string       // command; {ids} is replaced by the ids with commas, or left out
	// Line is matched with each line that List prints; its groups "id" and "state" are
	// the job's. Jobs that no line names are gone.
	Line *regexp.Regexp
	// Waits and Ended are states of jobs that do not run yet, and not any more; all
	// others run.
	Waits, Ended []string
	Remove       []string // command; the ids are added
	// Ignore is what List prints, ending with a failure, when it knows none of the jobs.
	Ignore *regexp.Regexp
	JobVar string // environment variable in which a job finds its id
}

// Schedulers are those that are known, by name.
var Schedulers = map[string]*Scheduler{
	"slurm": {
		Name: "slurm", Submit: []string{"sbatch", "--parsable"}, ID: regexp.MustCompile(`^(\d+)`),
		List:   []string{"squeue", "--noheader", "--states=all", "--format=%i %T", "--jobs={ids}"},
		Line:   regexp.MustCompile(`^\s*(?P<id>\d+)\s+(?P<state>\S+)`),
		Waits:  []string{"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "SUSPENDED"},
		Ended:  []string{"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "REVOKED"},
		Remove: []string{"scancel"}, Ignore: regexp.MustCompile(`Invalid job id`), JobVar: "SLURM_JOB_ID",
	},
	"sge": {
		Name: "sge", Submit: []string{"qsub", "-terse"}, ID: regexp.MustCompile(`^(\d+)`),
		List:   []string{"qstat"},
		Line:   regexp.MustCompile(`^\s*(?P<id>\d+)\s+\S+\s+\S+\s+\S+\s+(?P<state>\S+)`),
		Waits:  []string{"qw", "hqw", "t", "Rq", "hRwq", "Eqw"},
		Remove: []string{"qdel"}, JobVar: "JOB_ID",
	},
	"pbs": {
		Name: "pbs", Submit: []string{"qsub"}, ID: regexp.MustCompile(`^(\d+)`), // 12.host: qstat cuts off long ones
		List:   []string{"qstat"},
		Line:   regexp.MustCompile(`^\s*(?P<id>\d+)\S*\s+\S+\s+\S+\s+\S+\s+(?P<state>[A-Z])\s`),
		Waits:  []string{"Q", "H", "W", "T", "S"},
		Ended:  []string{"C", "E", "F", "X"},
		Remove: []string{"qdel"}, JobVar: "PBS_JOBID",
	},
}

// JobID is the id of the scheduler's job that this process is in, as submit has it; ""
// where it is in none.
func JobID() string {
	for _, name := range []string{"slurm", "pbs", "sge"} { // SGE's JOB_ID is set by others too
		s := Schedulers[name]
		if m := s.ID.FindStringSubmatch(os.Getenv(s.JobVar)); m != nil {
			return m[1]
		}
	}
	return ""
}

// state is what is known of a job.
type state int

const (
	gone state = iota
	waiting
	running
)

// submit writes the next script and gives it to the scheduler.
func (l *Launcher) submit(ctx context.Context) error {
	name := fmt.Sprintf("rpipe-%d-%d", os.Getpid(), l.n+1)
	log := filepath.Join(l.o.Dir, name+".log")
	script, err := Fill(l.o.Template, l.o.scriptValues(name, log))
	if err != nil {
		return err
	}
	path := filepath.Join(l.o.Dir, name+".sh")
	if err := os.MkdirAll(l.o.Dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		return err
	}
	l.n++
	// One that is cut short may have submitted a job of which nobody knows.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	out, err := command(ctx, append(slices.Clone(l.o.Scheduler.Submit), path))
	if err != nil {
		return err
	}
	m := l.o.Scheduler.ID.FindStringSubmatch(strings.TrimSpace(out))
	if m == nil {
		return fmt.Errorf("launch: %s printed %q, in which there is no job id", l.o.Scheduler.Submit[0], out)
	}
	l.jobs[m[1]] = &job{id: m[1], log: log}
	l.o.Log.Info("a worker was submitted", "scheduler", l.o.Scheduler.Name, "job", m[1], "log", log)
	return nil
}

// states are those of jobs; the ones that are gone are left out.
func (s *Scheduler) states(ctx context.Context, ids []string) (map[string]state, error) {
	list := slices.Clone(s.List)
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "{ids}", strings.Join(ids, ","))
	}
	out, err := command(ctx, list)
	if err != nil && (s.Ignore == nil || !s.Ignore.MatchString(err.Error())) {
		return nil, err
	}
	found := make(map[string]state)
	for line := range strings.Lines(out) {
		m := s.Line.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch now := m[s.Line.SubexpIndex("state")]; {
		case slices.Contains(s.Ended, now):
		case slices.Contains(s.Waits, now):
			found[m[s.Line.SubexpIndex("id")]] = waiting
		default:
			found[m[s.Line.SubexpIndex("id")]] = running
		}
	}
	return found, nil
}

func (s *Scheduler) remove(ctx context.Context, ids ...string) error {
	_, err := command(ctx, append(slices.Clone(s.Remove), ids...))
	return err
}

// lastWords is how long what a command has started may keep its output open when it has
// ended, or was killed: sites wrap commands in scripts.
const lastWords = time.Second

// command runs one and returns what it printed.
func command(ctx context.Context, args []string) (string, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.WaitDelay = lastWords
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if errors.Is(err, exec.ErrWaitDelay) { // it has ended well, and something that it started goes on
		err = nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("launch: %s is not in the PATH: is this a machine from which jobs are submitted?", args[0])
	}
	if err != nil {
		return string(out), fmt.Errorf("launch: %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// tail is the end of a job's log, for a message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "it has written no log"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	text := strings.TrimSpace(strings.Join(lines[max(0, len(lines)-5):], "; "))
	if text == "" {
		return "its log " + path + " is empty"
	}
	return "its log " + path + " ends: " + text
}
