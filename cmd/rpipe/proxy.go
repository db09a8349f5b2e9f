package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
)

// proxyFlags are those of rpipe proxy. All but config, watch and logging are
// about one API without a file.
type proxyFlags struct {
	file, host              string
	port, max, min, threads int
	check, idle             int // seconds, as valve has them
	timeout                 time.Duration
	config                  string
	watch                   bool
	logging                 logFlags
}

func newProxy() *cobra.Command {
	var f proxyFlags
	var vars variables
	c := &cobra.Command{
		Use:   "proxy [plumber.R | DIRECTORY | proxy.yaml]",
		Short: "Serve a plumber API by many R processes on one port",
		Long: `Serve a plumber API by many R processes on one port.

The argument is an R file, a directory with plumber.R or entrypoint.R, or a
configuration file (.yaml) for several APIs, TLS, authentication and limits.
Without one it is plumber.R in this directory.

With --watch the API is loaded again when its files change, and errors come
with R's message and traceback: for development. SIGHUP loads it again without
losing a request; code that does not work leaves the old one in place.
SIGINT and SIGTERM finish the requests under way, a second one stops at once.

The state of it all: http://HOST:PORT/__rpipe__/status

Exit status: 0 stopped; 1 the server failed; 2 the configuration or the API's
code is wrong; 3 the environment is (no R, no plumber, the port is taken);
130 or 143 a second SIGINT or SIGTERM has cut requests off.`,
		Example: examplesText(`
			rpipe proxy plumber.R
			rpipe proxy plumber.R --watch               # while you write it
			rpipe proxy -f plumber.R -n 5 --port 3000   # at most five R processes
			rpipe proxy api/ --host 0.0.0.0 --n-min 2
			rpipe proxy --config proxy.yaml`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				switch {
				case c.Flags().Changed("file") || f.config != "":
					return fmt.Errorf("proxy: %s and a flag both say what to serve; one of them is enough", args[0])
				case isYAML(args[0]):
					f.config = args[0]
				default:
					f.file = args[0]
				}
			}
			file, problems, err := f.load(c, vars)
			if err != nil {
				return err
			}
			problems.Format(os.Stderr, colored(os.Stderr))
			if len(problems.Errors()) > 0 {
				return exitCode(pipeline.ExitConfig)
			}
			switch {
			case f.threads > 0:
				runtime.GOMAXPROCS(f.threads)
			case len(file.Pipelines) > 0 && os.Getenv("GOMAXPROCS") == "":
				runtime.GOMAXPROCS(pipeline.ThreadsBeside())
			}
			return serveProxy(c.Context(), file, f)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.file, "file", "f", "plumber.R", "R file or directory of the API")
	flags.StringVar(&f.host, "host", "127.0.0.1", "address to listen on; 0.0.0.0 for all")
	flags.IntVarP(&f.port, "port", "p", 3000, "port to listen on; 0 takes a free one")
	flags.IntVarP(&f.max, "n-max", "n", 0, "R processes at most (0: one for each core)")
	flags.IntVar(&f.min, "n-min", 1, "R processes that are kept up")
	flags.IntVar(&f.check, "check-unused", 10, "seconds between looks for R processes without work")
	flags.IntVar(&f.idle, "max-age", 300, "seconds without work after which an R process above n-min ends")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long R may take for a request, such as 30s (0: no limit)")
	flags.IntVarP(&f.threads, "workers", "w", 0, "threads of rpipe itself, not of R (0: one for each core)")
	flags.StringVar(&f.config, "config", "", "configuration file, in place of all flags above")
	flags.BoolVar(&f.watch, "watch", false, "load the API again when its files change; show R's errors to clients")
	f.logging.flag(c)
	vars.flag(c)
	for _, name := range []string{"file", "host", "port", "n-max", "n-min", "check-unused", "max-age", "timeout"} {
		c.MarkFlagsMutuallyExclusive("config", name)
	}
	return c
}

// load makes the configuration of the file or of the flags.
func (f *proxyFlags) load(c *cobra.Command, vars variables) (*proxy.File, configs.Problems, error) {
	if f.config != "" {
		for _, name := range []string{"host", "port", "n-max", "n-min", "check-unused", "max-age", "timeout"} {
			if c.Flags().Changed(name) {
				return nil, nil, fmt.Errorf("proxy: --%s is for one API without a file; say it in %s", name, f.config)
			}
		}
		file, problems := proxy.Load(f.config, vars)
		return file, problems, nil
	}
	for _, n := range []struct {
		name  string
		value int
		least int
	}{{"n-max", f.max, 0}, {"n-min", f.min, 0}, {"check-unused", f.check, 1}, {"max-age", f.idle, 1}, {"port", f.port, 0}, {"workers", f.threads, 0}} {
		if n.value < n.least {
			return nil, nil, fmt.Errorf("proxy: --%s %d is less than %d", n.name, n.value, n.least)
		}
	}
	most := f.max
	if most == 0 {
		most = runtime.NumCPU()
	}
	if f.min > most {
		return nil, nil, fmt.Errorf("proxy: --n-min %d is more than --n-max %d", f.min, most)
	}
	file, problems := proxy.Single(f.file, func(file *proxy.File) {
		file.Listen.Address = net.JoinHostPort(f.host, strconv.Itoa(f.port))
		p := file.Pools["default"]
		p.Max, p.Min = f.max, f.min
		p.CheckInterval = configs.Duration(time.Duration(f.check) * time.Second)
		p.IdleTimeout = configs.Duration(time.Duration(f.idle) * time.Second)
		file.Pools["default"] = p
		file.APIs[0].Timeout = configs.Duration(f.timeout)
	})
	return file, problems, nil
}

// serveProxy serves until a signal, and reloads at SIGHUP.
func serveProxy(ctx context.Context, file *proxy.File, f proxyFlags) error {
	var err error
	if file.Log.Config, err = f.logging.over(file.Log.Config); err != nil {
		return err
	}
	log := file.Log.New(os.Stderr)
	return serve(ctx, serviceOptions{
		log:    log,
		saying: "requests under way are finished",
		cut:    "requests were cut off when grace was over; for more time set grace in proxy.yaml",
		exit:   proxyExit,
		start: func(ctx context.Context) (service, error) {
			s, err := proxy.Start(ctx, file, proxy.Options{Log: log, Version: version, Watch: f.watch})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		up: func(s service) {
			p := s.(*proxy.Server)
			log.Info("serving", "url", p.URL(), "status", p.StatusURL())
		},
		reload: func(s service, done func()) { s.(*proxy.Server).ReloadLater(done) },
	})
}

func proxyExit(err error) int {
	var config *proxy.ConfigError
	if errors.As(err, &config) {
		return pipeline.ExitConfig
	}
	return pipeline.ExitEnvironment
}

func isYAML(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yaml" || ext == ".yml"
}

// terminal is the one that rpipe was started on; false for none.
type terminal bool

func findTerminal() terminal { return terminal(reached()) }

// gone reports whether the terminal was closed since: SIGHUP then says so, and
// nobody asks for new code.
func (t terminal) gone() bool { return bool(t) && !reached() }

func reached() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
