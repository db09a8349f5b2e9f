//go:build unix

// Command shared measures how fast requests to a plumber API are answered while a
// pipeline keeps all workers of the same pool busy that it may have, beside how
// fast they are without it.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy/plumber"
	"github.com/rpipe-dev/rpipe/rpool"
)

//go:embed plumber.R
var plumberR []byte

//go:embed work.R
var workR []byte

//go:embed pipeline.yaml
var pipelineYAML []byte

const reserve = 1

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

func run(s bench.Setting) error {
	runtime.GOMAXPROCS(pipeline.ThreadsBeside()) // as rpipe proxy does
	dir, err := os.MkdirTemp("", "bench-shared-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string][]byte{"plumber.R": plumberR, "work.R": workR, "pipeline.yaml": pipelineYAML} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return err
		}
	}
	for _, c := range []struct{ workers, connections int }{{2, 1}, {4, 1}, {4, 2}} {
		if err := compare(s, dir, c.workers, c.connections); err != nil {
			return err
		}
	}
	return nil
}

// compare measures one number of workers with one number of clients.
func compare(s bench.Setting, dir string, workers, connections int) (err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	pool, err := rpool.New(rpool.Options{Max: workers, Min: 1, Reserve: reserve})
	if err != nil {
		return err
	}
	defer pool.Close()
	config := &plumber.Config{}
	configs.SetDefaults(config)
	config.Dir = dir
	env := plumber.Environment(&rpool.Environment{Dir: dir}, config, plumber.Site{})
	api, err := plumber.New(ctx, plumber.Options{Pool: pool, Env: env, Config: config})
	if err != nil {
		return err
	}
	defer api.Drain(ctx)
	front, err := listen(api)
	if err != nil {
		return err
	}
	defer front.close()
	if err := pool.Warm(ctx, env, connections); err != nil {
		return err
	}

	period := time.Duration(s.Pick(2500, 200)) * time.Millisecond
	var alone, beside latencies
	var rows []float64
	quiet := func() error {
		alone, err = front.load(connections, period)
		return err
	}
	busy := func() error {
		bulk, err := startBulk(ctx, dir, pool)
		if err != nil {
			return err
		}
		before, began := bulk.written(), time.Now()
		beside, err = front.load(connections, period)
		rows = append(rows, float64(bulk.written()-before)/time.Since(began).Seconds())
		return bulk.stop(err)
	}
	side := func(name string, measure func() error, of *latencies, at float64) *bench.Side {
		return &bench.Side{Name: name, Run: func() (float64, error) {
			if measure != nil {
				if err := measure(); err != nil {
					return 0, err
				}
			}
			return of.at(at).Seconds(), nil
		}}
	}
	busy99, quiet99 := side("beside the pipeline", busy, &beside, 0.99), side("without it", quiet, &alone, 0.99)
	busy50, quiet50 := side("beside the pipeline", nil, &beside, 0.5), side("without it", nil, &alone, 0.5)
	busy99.Then, quiet99.Then = []*bench.Side{busy50}, []*bench.Side{quiet50}
	quiet99.Bar = "≤ 1.5"
	if err := bench.Compare(s, busy99, quiet99); err != nil {
		return err
	}
	what := fmt.Sprintf("%d workers, of which %d is in reserve, connections: %d", workers, reserve, connections)
	bench.Print("99th percentile of a request, "+what, bench.Millis, busy99, quiet99)
	bench.Print("Its median, "+what, bench.Millis, busy50, quiet50)
	slices.Sort(rows)
	fmt.Printf("The pipeline did %.0f rows/s meanwhile (the middle of its periods).\n\n", rows[len(rows)/2])
	return nil
}
