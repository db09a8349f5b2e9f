package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// furnish puts something of everything into a store.
func furnish(t *testing.T, b *Broker) {
	t.Helper()
	ctx := within(t)
	var ws []Write
	for i := range 1500 {
		ws = append(ws, Write{Subject: fmt.Sprintf("rp.s.job.%d", i+1), Data: fmt.Appendf(nil, `{"n":%d}`, i+1)})
	}
	ws = append(ws,
		Write{Subject: "rp.j.job", Data: []byte("job")},
		Write{Subject: "rp.j.short", Data: []byte("short"), TTL: time.Hour},
		Write{Subject: "rp.j.gone", Data: []byte("x")})
	_, errs := b.WriteAll(ctx, ws)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(ctx, Write{Subject: "rp.j.gone", Delete: true, Any: true}); err != nil {
		t.Fatal(err)
	}
	push(t, b, Work{"q", tasks.Normal, "job", 1}, Work{"q", tasks.Front, "job", 2})
	for _, size := range []int{0, 1000, 3*chunkSize + 7} {
		if _, err := b.Objects().Put(ctx, "o-"+itoa(size), random(size)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		if err := b.Log(ctx, "job", 1, fmt.Appendf(nil, "line %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.FlushLog(ctx); err != nil {
		t.Fatal(err)
	}
}

// furnished checks that it is all there.
func furnished(t *testing.T, b *Broker) {
	t.Helper()
	ctx := within(t)
	n := 0
	err := b.Range(ctx, "rp.>", func(r Record) error {
		if n++; strings.HasPrefix(r.Subject, "rp.s.") && string(r.Data) != `{"n":`+strings.TrimPrefix(r.Subject, "rp.s.job.")+"}" {
			t.Errorf("%s is %q", r.Subject, r.Data)
		}
		return nil
	})
	if err != nil || n != 1502 {
		t.Errorf("%d records, %v; want 1502", n, err)
	}
	r, h, err := b.last(ctx, recordStream, "rp.j.short")
	if ttl, _ := strconv.Atoi(h.Get(headTTL)); err != nil || string(r.Data) != "short" || ttl > 3600 || ttl < 3000 {
		t.Errorf("the record that expires: %q, for %d s, %v", r.Data, ttl, err)
	}
	for _, size := range []int{0, 1000, 3*chunkSize + 7} {
		same(t, b, "o-"+itoa(size), size)
	}
	lines := ""
	err = b.ReadLog(ctx, "job", 1, 0, func(_ uint64, _ time.Time, data []byte) error { lines += string(data) + "\n"; return nil })
	if want := "line 0\nline 1\nline 2\nline 3\nline 4\n"; err != nil || lines != want {
		t.Errorf("log %q, %v", lines, err)
	}
	ds := claim(t, lanesOf(t, b, "q"), 2, 10)
	if ds[0].N != 2 || ds[1].N != 1 {
		t.Errorf("work %+v, %+v", ds[0].Work, ds[1].Work)
	}
	if n, err := b.Objects().Sweep(ctx, time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("%d objects were left over, %v", n, err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	b := open(t)
	ctx := within(t)
	furnish(t, b)
	dir := filepath.Join(t.TempDir(), "backup")
	if err := b.Backup(ctx, dir); err != nil {
		t.Fatal(err)
	}
	furnished(t, b)
	if err := b.Backup(ctx, dir); err == nil {
		t.Error("a second backup went into the same directory")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := b.Backup(ctx, file)
	if text, _ := os.ReadFile(file); err == nil || string(text) != "mine" {
		t.Errorf("a backup in the place of a file, with %q in it: %v", text, err)
	}
	if err := b.Backup(ctx, t.TempDir()); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	if err := b.Restore(ctx, dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore into a store that is not empty: %v", err)
	}
	other := open(t)
	if err := other.Restore(ctx, dir); err != nil {
		t.Fatal(err)
	}
	furnished(t, other)
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	b := open(t)
	ctx := within(t)
	furnish(t, b)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := b.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	records := recordStream + ".rpb"
	change := func(name string, f func([]byte) []byte) func(dir string) error {
		return func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), f(b), 0o600)
		}
	}
	for name, damage := range map[string]func(dir string) error{
		"a byte":        change(records, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }),
		"cut off":       change(records, func(b []byte) []byte { return b[:len(b)*2/3] }),
		"a file gone":   func(dir string) error { return os.Remove(filepath.Join(dir, records)) },
		"no manifest":   func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) },
		"another count": change(manifestFile, func(b []byte) []byte { return bytes.Replace(b, []byte("1502"), []byte("1503"), 1) }),
		"newer":         change(manifestFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 2`), 1) }),
	} {
		dir := filepath.Join(t.TempDir(), "backup")
		if err := os.CopyFS(dir, os.DirFS(backup)); err != nil {
			t.Fatal(err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if err := open(t).Restore(ctx, dir); err == nil {
			t.Errorf("%s: restored", name)
		} else if !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error does not say where: %v", name, err)
		}
	}
}

// TestCopyGoesOn: a copy that was cut short is completed by the next one.
func TestCopyGoesOn(t *testing.T) {
	from, to := open(t), open(t, interval)
	ctx := within(t)
	furnish(t, from)
	cut := errors.New("cut")
	epoch, err := from.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = to.fill(ctx, "copy of "+epoch, func(stream string, f func([]entry) error) error {
		return from.export(ctx, stream, func(es []entry) error {
			if err := f(es); err != nil {
				return err
			}
			return cut
		})
	})
	if !errors.Is(err, cut) {
		t.Fatal(err)
	}
	if err := Copy(ctx, open(t), to); err == nil || !strings.Contains(err.Error(), "part of another") {
		t.Errorf("copy of another store into a half one: %v", err)
	}
	if err := Copy(ctx, from, to); err != nil {
		t.Fatal(err)
	}
	furnished(t, to)
}

func TestStatus(t *testing.T) {
	b := open(t)
	furnish(t, b)
	s, err := b.Status(t.Context())
	if err != nil || !s.Connected || s.Bytes == 0 || len(s.Streams) != 6 || s.Streams[0].Messages != 1503 || s.Streams[0].Replicas != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestEpochAfterPowerLoss: a store that was open when the machine went down has another
// epoch, since it may have lost what was read from it.
func TestEpochAfterPowerLoss(t *testing.T) {
	dir := t.TempDir()
	epoch := func() string {
		t.Helper()
		b, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		e, err := b.Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := epoch()
	if again := epoch(); again != first {
		t.Errorf("after a clean end: %s, before %s", again, first)
	}
	if err := os.WriteFile(filepath.Join(dir, bootFile), []byte("another boot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A start that fails does not hide it.
	if b, err := Open(t.Context(), Options{Dir: dir, Listen: "127.0.0.1:0"}); err == nil {
		b.Close()
		t.Fatal("a port without a cluster")
	}
	if after := epoch(); after == first {
		t.Errorf("after a power failure the epoch is still %s", after)
	}
	if err := os.WriteFile(filepath.Join(dir, bootFile), bootID(), 0o600); err != nil {
		t.Fatal(err)
	}
	killed := epoch()
	if again := epoch(); again != killed {
		t.Errorf("after the end of a process alone: %s, then %s", killed, again)
	}
}

func TestFullDisk(t *testing.T) {
	b := open(t)
	ctx := within(t)
	seq, err := b.Write(ctx, Write{Subject: "rp.s.job.1", Data: []byte("PENDING")})
	if err != nil {
		t.Fatal(err)
	}
	b.reserve = 1 << 62
	b.room.asked = time.Time{}
	if _, err := b.Write(ctx, Write{Subject: "rp.s.job.2", Data: []byte("x")}); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), b.o.Dir) {
		t.Errorf("a new record: %v", err)
	}
	if _, err := b.Objects().Put(ctx, "x", io.LimitReader(random(10), 10)); !errors.Is(err, ErrFull) {
		t.Errorf("a new object: %v", err)
	}
	if _, err := b.Write(ctx, Write{Subject: "rp.s.job.1", Data: []byte("COMPLETE"), Expect: seq}); err != nil {
		t.Errorf("the end of what runs: %v", err)
	}
	// The limit of the store itself.
	small := open(t, func(o *Options) { o.MaxStore = 4 << 20 })
	short, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for i := range 100 {
		if _, err = small.Write(short, Write{Subject: fmt.Sprintf("rp.s.job.%d", i), Data: make([]byte, 100<<10)}); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("over MaxStore: %v", err)
	}
}
