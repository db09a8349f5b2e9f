package rpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// OldestR is the oldest version of R that rpipe works with.
const OldestR = "3.6.0"

// FindR finds the R to run and its version, such as "4.2.2". Path may name an R
// or Rscript binary or be empty; then the places looked at are, in order, the
// binary in RPIPE_R, bin/R of R_HOME, the PATH, and where R's installers put it
// on macOS. A *StartError says what to do where there is none, or one older than
// OldestR.
func FindR(path string) (bin, version string, err error) {
	for _, place := range placesOfR(path) {
		found, err := exec.LookPath(asR(place.path))
		if err != nil {
			if place.must {
				return "", "", &StartError{
					Step: "find R", What: place.path, Err: fmt.Errorf("%s: %w", place.why, notFound(err)),
					Hint: "set it to the path of an R or Rscript binary, or remove it to use the R of the PATH",
				}
			}
			continue
		}
		version, err := versionOfR(found)
		if err != nil {
			return "", "", &StartError{Step: "find R", What: found, Err: err}
		}
		if older(version, OldestR) {
			return "", "", &StartError{
				Step: "find R", What: found, Err: fmt.Errorf("it is R %s, and R %s or later is needed", version, OldestR),
				Hint: "install a newer R, or set RPIPE_R to the path of one",
			}
		}
		return found, version, nil
	}
	return "", "", &StartError{
		Step: "find R", Err: errors.New("no R in RPIPE_R, R_HOME or the PATH"), Hint: hintInstallR(),
	}
}

type placeOfR struct {
	path string
	why  string
	must bool // it was asked for: do not look elsewhere
}

func placesOfR(path string) []placeOfR {
	if path != "" {
		return []placeOfR{{path, "the R that the configuration names", true}}
	}
	if path := os.Getenv("RPIPE_R"); path != "" {
		return []placeOfR{{path, "the R that RPIPE_R names", true}}
	}
	var places []placeOfR
	if home := os.Getenv("R_HOME"); home != "" {
		places = append(places, placeOfR{path: filepath.Join(home, "bin", "R")})
	}
	places = append(places, placeOfR{path: "R"})
	if runtime.GOOS == "darwin" {
		for _, path := range []string{
			"/Library/Frameworks/R.framework/Resources/bin/R", "/opt/homebrew/bin/R", "/usr/local/bin/R", "/opt/local/bin/R",
		} {
			places = append(places, placeOfR{path: path})
		}
	}
	return places
}

// asR is the R beside an Rscript.
func asR(path string) string {
	dir, name := filepath.Split(path)
	if name == "Rscript" {
		return dir + "R"
	}
	return path
}

func notFound(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func hintInstallR() string {
	if runtime.GOOS == "darwin" {
		return "install R (brew install r, or https://cran.r-project.org), or set RPIPE_R to the path of one"
	}
	return "install R (on Debian and Ubuntu: apt-get install r-base-core; elsewhere https://cran.r-project.org), or set RPIPE_R to the path of one"
}

var versionLine = regexp.MustCompile(`(?m)^R (?:version|Under development).*?(\d+\.\d+\.\d+)`)

const versionWait = 10 * time.Second

func versionOfR(bin string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), versionWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "--version")
	cmd.WaitDelay = time.Second // what a script has started may hold the pipe open
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s --version does not answer within %v", bin, versionWait)
	}
	if m := versionLine.FindSubmatch(out); m != nil {
		return string(m[1]), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s", bin, err, strings.TrimSpace(string(out)))
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return "", fmt.Errorf("%s --version says %q, which is not R", bin, first)
}

// older reports whether version a is before b; both are numbers and dots.
func older(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if c := cmp.Compare(m, n); c != 0 {
			return c < 0
		}
	}
	return len(x) < len(y)
}
