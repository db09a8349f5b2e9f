package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestExitCodes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	text := "version: 1\nsource: {range: {from: 1, to: 2, column: x}}\nsink: {csv: {path: out}}\n"
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	file, problems := Load(path, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := func(r *Report, err error, want int) {
		t.Helper()
		if got := ExitCode(r, err); got != want {
			t.Errorf("%+v, %v: got %d, want %d", r, err, got, want)
		}
	}
	f(nil, nil, ExitDone)
	f(&Report{}, nil, ExitDone)
	f(&Report{DeadLetters: 3}, nil, ExitDeadLetters)
	f(&Report{DeadLetters: 3}, errors.New("disk"), ExitFailed)
	f(nil, at(file, "source", fs.ErrNotExist), ExitConfig)
	f(nil, at(file, "sink", fmt.Errorf("make out: %w", fs.ErrPermission)), ExitEnvironment)
	f(nil, rError(file, &rpool.StartError{Step: "source", What: "f.R"}), ExitConfig)
	f(nil, rError(file, &rpool.StartError{Step: "find R"}), ExitEnvironment)
	f(nil, rError(file, &rpool.StartError{Step: "package", What: "x"}), ExitEnvironment)

	if got, want := at(file, "sink", errors.New("full")).Error(), path+":3:7: sink: full"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
