package index

import (
	"bufio"
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// crashLoad is what the killed process is fed.
func crashLoad() *load {
	return &load{tasks: 3000, size: 7, rounds: inRounds, jobs: map[int]*tasks.Job{}, sent: make(chan struct{})}
}

// feedUntilKilled prints how far it is.
func feedUntilKilled(path string) error {
	x, err := Open(path)
	if err != nil {
		return err
	}
	l := crashLoad()
	go func() {
		for seq := uint64(0); seq < l.last(); {
			_ = x.Sync(context.Background(), seq+1)
			seq = x.Status().Seq
			fmt.Println(seq)
		}
	}()
	return x.Run(context.Background(), l)
}

// A process that feeds the index and is killed at any moment leaves a file from which the
// next one goes on, and in the end it is the same as if nothing had happened.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	last := int64(crashLoad().last())
	for kills := 0; kills < killings; kills++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), feedForTest+"="+path)
		var failed strings.Builder
		cmd.Stderr = &failed
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed some time after a commit, which is anywhere in the next one.
		from, pause := rand.Int64N(last), time.Duration(rand.IntN(3000))*time.Microsecond
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var seq int64
			if fmt.Sscan(lines.Text(), &seq); seq >= from {
				break
			}
		}
		time.Sleep(pause) // see above
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if failed.Len() > 0 {
			t.Fatalf("the process failed: %s", failed.String())
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		again, err := attach(path)
		if err != nil {
			t.Fatalf("the file is unusable: %v", err)
		}
		check(t, again)
		if err := again.close(); err != nil {
			t.Fatal(err)
		}
		if err := markOpen(path); err != nil { // as the killed process had left it
			t.Fatal(err)
		}
	}
	got, _ := fill(t, path, crashLoad())
	defer got.Close()
	want, _ := fill(t, filepath.Join(dir, "whole.db"), crashLoad())
	defer want.Close()
	check(t, got.file)
	for _, table := range []string{"jobs", "tasks", "bits", "counts", "owners", "blobs", "envs"} {
		if a, b := dump(t, got.file, table), dump(t, want.file, table); a != b {
			t.Errorf("%s differ from those of an index that was not killed:\n%s", table, firstDifference(a, b))
		}
	}
}

// The file alone, as the disk has it where the log was never written there, says that it is
// open before anything else is in it; and has everything before it says that it was closed.
func TestMarkedInTime(t *testing.T) {
	path, s := tempIndex(t), newStream()
	s.some(1, 100)
	f := func(x *fed, open bool, tasks int64) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		alone := filepath.Join(t.TempDir(), "alone.db")
		if err := os.WriteFile(alone, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := connect(dsn(alone, false))
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		err = c.query("SELECT boot, (SELECT count(*) FROM tasks) FROM state", nil, func(r []driver.Value) error {
			if (text(r[0]) != "") != open || number(r[1]) != tasks {
				t.Errorf("it is marked %q, and has %d tasks of %d", text(r[0]), number(r[1]), tasks)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	x := feed(t, path, newStream())
	f(x, true, 0)
	x.stop()
	x = feed(t, path, s)
	x.sync(s)
	if done, err := x.file.settle(); !done || err != nil {
		t.Fatal(done, err)
	}
	f(x, true, 300)
	x.stop()
	f(x, false, 300)
}

func markOpen(path string) error {
	c, err := connect(dsn(path, false))
	if err != nil {
		return err
	}
	if err := c.exec("UPDATE state SET boot = ?", bootID()); err != nil {
		return err
	}
	return c.close()
}

func check(t *testing.T, f *file) {
	t.Helper()
	err := f.write.query("PRAGMA integrity_check", nil, func(r []driver.Value) error {
		if s := text(r[0]); s != "ok" {
			t.Errorf("the file is damaged: %s", s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dump is a table as text; ids of names, which depend on the order of arrival within a
// batch, are replaced by the names.
func dump(t *testing.T, f *file, table string) string {
	t.Helper()
	columns := map[string]string{
		"jobs": strings.NewReplacer("owner", "(SELECT name FROM names WHERE id = owner)", "queue", "(SELECT name FROM names WHERE id = queue)").Replace(jobColumns),
		"tasks": strings.NewReplacer("queue", "(SELECT name FROM names WHERE id = queue)", "worker", "(SELECT name FROM names WHERE id = worker)",
			"host", "(SELECT name FROM names WHERE id = host)").Replace(taskColumns),
		"bits":   fmt.Sprintf("dim, CASE WHEN dim IN (%d, %d, %d) THEN (SELECT name FROM names WHERE id = val) WHEN dim IN (%d, %d) THEN (SELECT name FROM names WHERE id = val >> 4) ELSE val END, chunk, hex(data)", dimOwner, dimQueue, dimWorker, dimWait, dimHeld),
		"counts": "(SELECT name FROM names WHERE id = owner), (SELECT name FROM names WHERE id = queue), lane, state, held, n, bytes",
		"owners": "(SELECT name FROM names WHERE id = owner), jobs, running, bytes",
	}[table]
	if columns == "" {
		columns = "*"
	}
	where := ""
	if table == "counts" {
		where = " WHERE n > 0"
	}
	var b strings.Builder
	err := f.write.query("SELECT "+columns+" FROM "+table+where+" ORDER BY 1, 2", nil, func(r []driver.Value) error {
		for _, v := range r {
			fmt.Fprint(&b, v, " ")
		}
		b.WriteByte(10)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if table != "blobs" && table != "envs" && b.Len() == 0 {
		t.Errorf("%s is empty", table)
	}
	return b.String()
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return as[i] + "\n" + bs[i]
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(as), len(bs))
}
