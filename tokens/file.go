package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const (
	fileName = "tokens.json"
	maxFile  = 64 << 20 // bytes: 200,000 tokens
	lockWait = 10 * time.Second
)

// DefaultPath is where the tokens of a user are: RPIPE_TOKENS, or
// rpipe/tokens.json in the user's configuration directory (~/.config,
// %AppData%).
func DefaultPath() (string, error) {
	if path := os.Getenv("RPIPE_TOKENS"); path != "" {
		return fileOf(path), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", errors.New("the token store has no default place, since this user has no home directory: name it with --store, or RPIPE_TOKENS")
	}
	return filepath.Join(dir, "rpipe", fileName), nil
}

// fileOf is the file of a store that may be named by its directory.
func fileOf(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() || os.IsPathSeparator(lastByte(path)) {
		return filepath.Join(path, fileName)
	}
	return path
}

func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}

// content is the whole file.
type content struct {
	Version int     `json:"version"`
	Tokens  []entry `json:"tokens"`
}

// version tells one state of the file from another; info is nil where there is
// no file.
type version struct {
	info os.FileInfo
	sure bool // another state would look different
}

// same reports whether a file is still in the state of which old is the version.
// A file that was written just before it was read may be written again within
// the same tick of its clock: then nobody can be sure. (git calls such an index
// entry racily clean.)
func (v version) same(old version) bool {
	if v.info == nil || old.info == nil {
		return v.info == old.info
	}
	return old.sure && os.SameFile(v.info, old.info) &&
		v.info.Size() == old.info.Size() && v.info.ModTime().Equal(old.info.ModTime())
}

func newVersion(info os.FileInfo) version {
	return version{info: info, sure: time.Since(info.ModTime()).Abs() > 2*time.Second}
}

func versionOf(path string) (version, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return version{}, nil
	}
	if err != nil {
		return version{}, fmt.Errorf("read tokens: %w", err)
	}
	return newVersion(info), nil
}

// read is what the file holds, nothing where there is none.
func read(path string) ([]entry, version, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, version{}, nil
	}
	if err != nil {
		return nil, version{}, fmt.Errorf("read tokens: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, version{}, fmt.Errorf("read tokens: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, version{}, fmt.Errorf("read tokens: others than its owner may write %s, and could let themselves in: chmod 600 %[1]s", path)
	}
	if info.Size() > maxFile {
		return nil, version{}, fmt.Errorf("read tokens: %s has %d bytes, and %d is the most", path, info.Size(), int64(maxFile))
	}
	at := newVersion(info) // before reading: what is written meanwhile makes another
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, version{}, fmt.Errorf("read tokens: %w", err)
	}
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, version{}, fmt.Errorf("read tokens: %s is no token store: %w", path, err)
	}
	if c.Version != 1 {
		return nil, version{}, fmt.Errorf("read tokens: %s is no token store of this rpipe: its version is %d, not 1", path, c.Version)
	}
	return c.Tokens, at, nil
}

// write replaces the file: whoever reads it sees the old state or the new, also
// when the machine stops. The lock is held.
func write(path string, all []entry) (version, error) {
	if all == nil {
		all = []entry{}
	}
	data, err := json.MarshalIndent(content{1, all}, "", " ")
	if err != nil {
		return version{}, fmt.Errorf("write tokens: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return version{}, fmt.Errorf("write tokens: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, keepOwner(f, path), f.Sync(), f.Close())
	if err == nil {
		err = replace(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return version{}, fmt.Errorf("write tokens: %w", err)
	}
	return versionOf(path)
}
