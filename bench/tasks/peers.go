//go:build unix

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

//go:embed peers.R
var peersR string

// beside measures rpipe serve, by its REST API, beside R's own queues: two workers each.
func beside(s bench.Setting, program, dir string) error {
	port, stop, err := redis()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: rrq is left out:", err)
	} else {
		defer stop()
	}
	r, err := bench.StartR(peersR, port)
	if err != nil {
		return err
	}
	defer r.Close()
	var servers []*served
	for _, d := range durabilities {
		v, err := serve(program, dir, string(d))
		if err != nil {
			return err
		}
		defer v.stop()
		servers = append(servers, v)
	}
	ask := func(name, bar, word string, n int, rate bool) *bench.Side {
		return &bench.Side{Name: name, Bar: bar, MayFail: true, Run: func() (float64, error) {
			took, err := r.Ask(fmt.Sprintf("%s %d", word, n))
			if rate {
				return float64(n) / took, err
			}
			return took / float64(n), err
		}}
	}
	side := func(v *served, n int, rate, isolated, single bool) *bench.Side {
		return &bench.Side{Name: "rpipe serve, durability " + v.durability, Run: func() (float64, error) {
			began := time.Now()
			err := v.bulk(n, isolated)
			if single {
				began = time.Now()
				for i := 0; err == nil && i < n; i++ {
					err = v.bulk(0, isolated)
				}
			}
			took := time.Since(began).Seconds()
			if rate {
				return float64(n) / took, err
			}
			return took / float64(n), err
		}}
	}
	n := s.Pick(2000, 50)
	bulk := []*bench.Side{
		side(servers[0], n, true, false, false), side(servers[1], n, true, false, false),
		ask("rrq", "≥ 3", "rrq", n, true), ask("mirai_map, which keeps nothing", "", "mirai", n, true),
	}
	if err := bench.Compare(s, bulk...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d no-op tasks, submitted in one call, all results collected", n), bench.PerSecond, bulk[0], bulk[1:]...)
	k := s.Pick(300, 5)
	ones := []*bench.Side{
		side(servers[0], k, false, false, true), side(servers[1], k, false, false, true),
		ask("rrq", "", "rrq_one", k, false), ask("mirai, which keeps nothing", "", "mirai_one", k, false),
	}
	if err := bench.Compare(s, ones...); err != nil {
		return err
	}
	bench.Print("One task at a time, submitted, waited for and collected", bench.Millis, ones[0], ones[1:]...)
	m := s.Pick(40, 4)
	isolated := []*bench.Side{
		side(servers[0], m, true, true, false), ask("rrq, separate_process", "≥ 10", "rrq_isolated", m, true), ask("callr::r", "≥ 10", "callr", m, true),
	}
	if err := bench.Compare(s, isolated...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d tasks, each in a process of its own", m), bench.PerSecond, isolated[0], isolated[1:]...)
	return nil
}

// served is a server that runs.
type served struct {
	durability string
	cmd        *exec.Cmd
	c          *client.Client
}

var serving = regexp.MustCompile(`msg=serving url=(\S+)`)

func serve(program, dir, durability string) (*served, error) {
	dir, err := os.MkdirTemp(dir, "serve-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	config := filepath.Join(dir, "rpipe.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:0\nlog: {access: \"off\"}\nworkers: {min: 2, max: 2}\ndata: data\ndurability: "+durability+"\n"), 0o600); err != nil {
		return nil, err
	}
	v := &served{durability: durability, cmd: exec.Command(program, "serve", config)}
	v.cmd.Stderr = log
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			v.stop()
			return nil, err
		}
		if m := serving.FindSubmatch(text); m != nil {
			v.c, err = client.New(client.Options{URL: string(m[1])})
			return v, err
		}
		<-time.After(50 * time.Millisecond) // it tells nobody but its log
	}
	v.stop()
	return nil, errors.New("rpipe serve does not come up")
}

func (v *served) stop() {
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	_ = v.cmd.Wait()
}

// bulk runs n tasks, or one that is no array where n is 0, and collects all results.
func (v *served) bulk(n int, isolated bool) error {
	ctx := context.Background()
	s := &api.Submission{Fun: &api.Value{JSON: []byte(`"function(i) i"`)}, Isolate: isolated}
	if n > 0 {
		numbers := make([]string, n)
		for i := range numbers {
			numbers[i] = strconv.Itoa(i + 1)
		}
		s.Over = &api.Value{JSON: []byte("[" + strings.Join(numbers, ",") + "]")}
	} else {
		s.Args = api.Args{{Value: api.Value{JSON: []byte("1")}}}
	}
	j, err := v.c.Submit(ctx, s)
	if err != nil {
		return err
	}
	if _, err := v.c.Wait(ctx, api.WaitRequest{IDs: []string{j.ID}}); err != nil {
		return err
	}
	got := 0
	err = v.c.Results(ctx, j.ID, 1, 0, func(r *api.Result) error {
		if r.Value == nil || string(r.Value.JSON) != strconv.Itoa(r.N) {
			return fmt.Errorf("task %d is %s", r.N, r.State)
		}
		got++
		return nil
	})
	if err == nil && got != max(n, 1) {
		err = fmt.Errorf("%d results of %d", got, n)
	}
	return err
}

// redis starts a Redis that keeps nothing on the disk.
func redis() (port string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	c := exec.Command("redis-server", "--port", port, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1")
	if err := c.Start(); err != nil {
		return port, nil, err
	}
	return port, func() { _ = c.Process.Kill(); _ = c.Wait() }, nil
}
