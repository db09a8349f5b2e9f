package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Peer is another program that measures: it reads a word a line and answers
// each with a line, a number or "missing" and what it lacks.
type Peer struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
}

// MissingError says that a peer is not installed.
type MissingError struct{ What string }

func (e *MissingError) Error() string { return e.What + " is not installed" }

// StartR starts an R script that is given as text.
func StartR(script string, args ...string) (*Peer, error) {
	f, err := os.CreateTemp("", "bench-*.R")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(script); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	p, err := start("Rscript", append([]string{"--vanilla", f.Name()}, args...)...)
	if err != nil {
		return nil, err
	}
	if _, err := p.Ask("ready"); err != nil { // it has been read now
		p.Close()
		return nil, err
	}
	return p, nil
}

func start(name string, args ...string) (*Peer, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Peer{cmd: cmd, in: in, answers: bufio.NewScanner(out)}, nil
}

// Pid is the peer's process.
func (p *Peer) Pid() int { return p.cmd.Process.Pid }

// Ask says a word and waits for the number. A peer that lacks what it needs
// for the answer gives a *MissingError.
func (p *Peer) Ask(word string) (float64, error) {
	if _, err := io.WriteString(p.in, word+"\n"); err != nil {
		return 0, fmt.Errorf("ask for %s: %w", word, err)
	}
	if !p.answers.Scan() {
		return 0, fmt.Errorf("ask for %s: the peer has ended", word)
	}
	line := p.answers.Text()
	if what, ok := strings.CutPrefix(line, "missing "); ok {
		return 0, &MissingError{what}
	}
	v, err := strconv.ParseFloat(line, 64)
	if err != nil {
		return 0, fmt.Errorf("ask for %s: the peer says %q", word, line)
	}
	return v, nil
}

// Close lets the peer end.
func (p *Peer) Close() {
	p.in.Close()
	p.cmd.Wait()
}
