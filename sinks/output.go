package sinks

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// output is the place that one run writes to: a directory, or one file in it.
type output struct {
	shown  string // the path as the user wrote it
	dir    string // the directory
	file   string // the name of the single file; "" for a directory
	ext    string
	format string // its name
	run    string // the run's id, fit for a file name
	nonce  string // tells parts of one run apart that a restart made anew
	anyDir bool   // files may stand in directories of any name, not only col=value
	kind   string // exists… what if_exists says
	log    *slog.Logger

	lock *lock
	made []string  // directories that open created, outermost first
	old  *manifest // of the finished runs before this one; nil for none
	// strays are data files that by their name rpipe wrote and that no manifest
	// names, though no run is known to have died here.
	strays []string
	// complete says that replacing would remove output of runs that read all of
	// their input.
	complete bool

	moved     []string        // files that this run made visible
	kept      bool            // the single file of before stands under its second name
	lost      bool            // it could not be given one
	dirs      map[string]bool // partitions' directories that this run made
	committed bool            // the manifest names this run's files
	previous  *manifest       // what finish replaced

	create func(path string) (storage, error)
}

const lockName = ".rpipe.lock"

// openOutput takes the lock, removes what dead runs left, and checks if_exists.
func openOutput(l *layout, fm format, env *stages.Env) (_ *output, err error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("sink: draw a nonce: %w", err)
	}
	o := &output{
		anyDir: l.anyDir, dirs: map[string]bool{},
		shown: l.path, dir: l.path, ext: fm.ext(), format: fm.name(), kind: l.IfExists, log: env.Log, create: createFile,
		run: fileSafe(env.Run), nonce: hex.EncodeToString(b[:]),
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.kind == "" {
		o.kind = existsError
	}
	if !filepath.IsAbs(o.dir) {
		o.dir = filepath.Join(env.Dir, o.dir)
	}
	if l.single(o.ext) {
		o.dir, o.file = filepath.Split(o.dir)
	}
	o.dir = filepath.Clean(o.dir)
	defer func() {
		if err != nil {
			o.leave()
		}
	}()
	if err := o.makeDir(); err != nil {
		return nil, failed("create directory", o.shown, err)
	}
	host, _ := os.Hostname()
	o.lock, err = acquire(o.abs(o.lockFile()), owner{
		Pid: os.Getpid(), Host: host, Run: env.Run, Pipeline: env.Pipeline, Since: time.Now().UTC(),
	})
	if errors.Is(err, ErrLocked) {
		return nil, &Error{Op: "open", Path: o.shown, Err: err, Hint: "wait until it is done, or set another path"}
	}
	if err != nil {
		return nil, failed("write to", o.shown, err)
	}
	o.removeTemps(func(run string) bool { return run != o.run })
	if o.old, err = o.readManifest(); err != nil {
		return nil, err
	}
	if err := o.finishReplace(); err != nil {
		return nil, err
	}
	return o, o.checkExisting(env.Limited)
}

// makeDir is os.MkdirAll that remembers what it made, so that a run that fails
// leaves no empty directory.
func (o *output) makeDir() error {
	for d := o.dir; ; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		if err == nil && !st.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: d, Err: fmt.Errorf("%s is a file, and a directory is needed; one file is written where path ends in %s", d, o.ext)}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		o.made = append([]string{d}, o.made...)
		if d == filepath.Dir(d) {
			break
		}
	}
	return os.MkdirAll(o.dir, 0o755)
}

// leave lets go of the lock and removes directories that are ours and empty.
func (o *output) leave() {
	o.lock.release()
	for i := len(o.made) - 1; i >= 0; i-- {
		if os.Remove(o.made[i]) != nil {
			return
		}
	}
}

func (o *output) abs(rel string) string { return filepath.Join(o.dir, filepath.FromSlash(rel)) }

func (o *output) lockFile() string {
	if o.file != "" {
		return "." + o.file + lockName
	}
	return lockName
}

// part names a new part. Its temporary name is in the top directory, so that no
// partition's directory is seen before it has a complete file.
func (o *output) part(epoch uint64, n int, dir string, partition map[string]string) Part {
	name := o.file
	if name == "" {
		name = fmt.Sprintf("%s-%05d-%05d-%s%s", o.run, epoch, n, o.nonce, o.ext)
	}
	path := name
	if dir != "" {
		path = dir + "/" + name
	}
	return Part{Path: path, Temp: "." + name + ".tmp-" + o.run, Partition: partition, Epoch: epoch}
}

// partPattern is the shape of the names that part gives.
var partPattern = regexp.MustCompile(`^(.+)-\d{5,}-\d{5,}-[0-9a-f]{8}(\..+)$`)

// removeTemps removes the temporary files of the runs that ofRun says. The lock
// is held, so no run but this one is alive.
func (o *output) removeTemps(ofRun func(run string) bool) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return
	}
	removed := 0
	for _, e := range entries {
		name, run, ok := strings.Cut(strings.TrimPrefix(e.Name(), "."), ".tmp-")
		if !ok || !strings.HasPrefix(e.Name(), ".") || e.IsDir() || !ofRun(run) || !o.makes(name) {
			continue
		}
		if err := os.Remove(o.abs(e.Name())); err == nil && run != o.run {
			removed++
		}
	}
	if removed > 0 {
		o.log.Info("removed temporary files of runs that did not finish", "files", removed, "directory", o.dir)
	}
}

// makes reports whether a file of that name may be one that this output makes.
func (o *output) makes(name string) bool {
	if name == o.manifestFile() {
		return true
	}
	if o.file != "" {
		return name == o.file || name == o.file+secondName
	}
	m := partPattern.FindStringSubmatch(name)
	return m != nil && m[2] == o.ext
}

// fileSafe makes a run's id fit for a file name on every system.
func fileSafe(id string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, id)
	s = strings.TrimLeft(s, ".")
	if s == "" {
		return "run"
	}
	return s[:min(len(s), 80)]
}
