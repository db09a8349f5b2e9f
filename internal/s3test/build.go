package s3test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Tests may point HOME and TMPDIR elsewhere: here they are as they were before.
var (
	environment        = os.Environ()
	temporary          = os.TempDir()
	userCache, noCache = os.UserCacheDir()
)

// Build makes the server of that name, versitygw or rclone, unless the cache has
// it, and returns its path. The cache is $XDG_CACHE_HOME/rpipe or its like on
// other systems; go's own makes a second build a matter of seconds.
func Build(name string) (string, error) {
	source, err := find(name)
	if err != nil {
		return "", err
	}
	version, err := fingerprint(source)
	if err != nil {
		return "", err
	}
	cache := userCache
	if noCache != nil {
		cache = temporary
	}
	dir := filepath.Join(cache, "rpipe", "s3test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, name+"-"+version)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	// Packages are tested at once, and one build keeps all cores busy.
	unlock, err := lockFile(filepath.Join(dir, name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	half := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer os.Remove(half)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", half, ".")
	build.Dir = source
	build.Env = append(environment, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build it in tools/s3server/%s: %w\n%s(go needs its module proxy the first time: look at go env GOPROXY)", name, err, out)
	}
	return binary, os.Rename(half, binary)
}

// find returns the directory of the server's module, which is above the
// directory that a test runs in.
func find(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		source := filepath.Join(dir, "tools", "s3server", name)
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("there is no tools/s3server/%s above the current directory", name)
		}
		dir = parent
	}
}

// fingerprint is the same where the sources, modules and Go are.
func fingerprint(source string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
