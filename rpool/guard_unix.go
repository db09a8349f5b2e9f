//go:build unix

package rpool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// guardian is this process's end of the guard (see GuardMain). The guard runs
// while there is anything to guard and is started again if it has died.
type guardian struct {
	mu   sync.Mutex
	ward ward
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

var theGuard = guardian{ward: ward{groups: make(map[int]bool), dirs: make(map[string]bool)}}

// addDir puts a directory under guard. An error means that there is no guard,
// and that nothing may be started.
func (g *guardian) addDir(dir string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ward.dirs[dir] = true
	return g.say("+d " + strconv.Quote(dir))
}

func (g *guardian) removeDir(dir string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ward.dirs, dir)
	g.dropped("-d " + strconv.Quote(dir))
}

func (g *guardian) addGroup(pgid int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ward.groups[pgid] = true
	return g.say("+g " + strconv.Itoa(pgid))
}

func (g *guardian) removeGroup(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ward.groups, pgid)
	g.dropped("-g " + strconv.Itoa(pgid))
}

// dropped tells the guard that something is gone, and ends it after the last.
func (g *guardian) dropped(line string) {
	if len(g.ward.groups)+len(g.ward.dirs) == 0 {
		g.stop()
	} else if g.cmd != nil {
		// A guard that has died is started again by the next say.
		io.WriteString(g.pipe, line+"\n")
	}
}

// say tells the guard a line that is in the ward already; a guard that is
// started now is told everything.
func (g *guardian) say(line string) error {
	if g.cmd != nil {
		if _, err := io.WriteString(g.pipe, line+"\n"); err == nil {
			return nil
		}
		g.stop()
	}
	if err := g.start(); err != nil {
		return fmt.Errorf("start the guard process: %w", err)
	}
	for pgid := range g.ward.groups {
		io.WriteString(g.pipe, "+g "+strconv.Itoa(pgid)+"\n")
	}
	for dir := range g.ward.dirs {
		io.WriteString(g.pipe, "+d "+strconv.Quote(dir)+"\n")
	}
	return nil
}

func (g *guardian) start() error {
	if os.Getenv(guardEnv) != "" {
		return errors.New("this process is a guard itself: main must call rpool.GuardMain first")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "__guard")
	cmd.Env = append(os.Environ(), guardEnv+"="+guardProtocol)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := awaitReady(out); err != nil {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		return fmt.Errorf("%s: %w", self, err)
	}
	g.cmd, g.pipe = cmd, in
	return nil
}

// awaitReady reads the guard's first words. A program whose main does not call
// GuardMain says something else, or nothing.
func awaitReady(out io.ReadCloser) error {
	if f, ok := out.(*os.File); ok {
		f.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	b := make([]byte, len(guardReady))
	if _, err := io.ReadFull(out, b); err != nil || string(b) != guardReady {
		return errors.New("it did not become a guard: its main must call rpool.GuardMain first")
	}
	return nil
}

func (g *guardian) stop() {
	if g.cmd == nil {
		return
	}
	g.pipe.Close()
	g.cmd.Wait()
	g.cmd, g.pipe = nil, nil
}
