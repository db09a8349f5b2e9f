//go:build unix

package fronts

import (
	"fmt"
	"net"
	"path/filepath"
)

// An API is a directory with a plumber.R, and a path of it that answers 200.
type API struct{ Dir, Path string }

// RPipe is the program rpipe with so many workers at most.
func RPipe(program string, api API, workers int, args ...string) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	return launch(addr, api.Dir, program, append([]string{"proxy", "-f", "plumber.R", "-n", fmt.Sprint(workers), "--host", host, "--port", port}, args...)...)
}

// Configured is the program rpipe with the proxy.yaml of a directory, which listens
// on ${addr}.
func Configured(program, dir string) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	return launch(addr, dir, program, "proxy", "--config", "proxy.yaml", "-v", "addr="+addr)
}

// Valve is valve with so many R processes at most.
func Valve(program string, api API, workers int) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	return launch(addr, api.Dir, program, "-h", host, "-p", port, "-n", fmt.Sprint(workers), "-f", "plumber.R")
}

// Faucet is faucet with so many R processes.
func Faucet(program string, api API, workers int) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	return launch(addr, api.Dir, program, "--host", addr, "start", "--workers", fmt.Sprint(workers), "--type", "plumber", "--dir", ".")
}

// Plumber is one R process that serves the API as plumber does: on a TCP port.
func Plumber(api API) (*Server, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	code := fmt.Sprintf("plumber::pr_run(plumber::plumb('plumber.R'), host = '%s', port = %s, docs = FALSE, quiet = TRUE)", host, port)
	return launch(addr, api.Dir, "Rscript", "--vanilla", "-e", code)
}

// onSocket is one R process that serves the API on a Unix socket, which
// plumber's own run() cannot.
func onSocket(api API, n int) (*Server, error) {
	code := fmt.Sprintf("pr <- plumber::plumb('plumber.R'); server <- httpuv::startPipeServer('%s', strtoi('117', 8L), pr); repeat later::run_now(Inf, all = FALSE)", socket(api, n))
	return launch("", api.Dir, "Rscript", "--vanilla", "-e", code)
}

func socket(api API, n int) string { return filepath.Join(api.Dir, fmt.Sprintf("r%d.sock", n)) }
