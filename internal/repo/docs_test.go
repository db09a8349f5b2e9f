package repo

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/marked"
	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
)

// TestPages runs what the pages say can be run, in their order, each page in a
// scratch directory of its own.
func TestPages(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			dir, printed, mark := t.TempDir(), "", "RPIPE_PAGE="+rand.Text()
			defer nothingLeft(t, mark)
			for _, b := range blocks(t, page) {
				switch {
				case b.value("file") != "":
					write(t, dir, b)
				case b.has("run"):
					printed = runBlock(t, dir, mark, b)
				case b.has("output"):
					compare(t, b, printed)
				}
			}
		})
	}
}

func write(t *testing.T, dir string, b *block) {
	name := filepath.Join(dir, b.value("file"))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(b.text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nothingLeft ends what the blocks of a page have left running, which is an error of the
// page unless it has failed in the middle.
func nothingLeft(t *testing.T, mark string) {
	left := marked.With(mark)
	for begun := time.Now(); len(left) > 0 && !t.Failed() && time.Since(begun) < 20*time.Second; left = marked.With(mark) {
		time.Sleep(50 * time.Millisecond) // they are no children of ours
	}
	for _, p := range left {
		if !t.Failed() {
			t.Errorf("the page leaves process %d, %s, running", p.Pid, p.Name)
		}
		if process, err := os.FindProcess(p.Pid); err == nil {
			_ = process.Kill()
		}
	}
}

func runBlock(t *testing.T, dir, mark string, b *block) string {
	want, _ := strconv.Atoi(b.value("exit"))
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", b.text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program.Path)+":"+os.Getenv("PATH"), "TMPDIR="+t.TempDir(), mark)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s:%d: exit status %d, want %d:\n%s\n%s", b.page, b.line, got, want, b.text, out)
	}
	return string(out)
}

// compare looks for the lines of b in what was printed, in their order. How
// words are spaced does not count.
func compare(t *testing.T, b *block, printed string) {
	rest := spaced(printed)
	for line := range strings.Lines(b.text) {
		line = spaced(line)
		if line == "" || line == "…" {
			continue
		}
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Errorf("%s:%d: this line was not printed: %s\nit was:\n%s", b.page, b.line, line, printed)
			return
		}
		rest = after
	}
}

func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestPipelinesOfPages: every whole pipeline or proxy.yaml that a page shows can
// be loaded.
func TestPipelinesOfPages(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.language != "yaml" || !strings.Contains("\n"+b.text, "\nversion: 1\n") {
				continue
			}
			n++
			name := filepath.Join(t.TempDir(), "pipeline.yaml")
			if err := os.WriteFile(name, []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, problems := pipeline.Load(name, nil)
			if strings.Contains("\n"+b.text, "\napis:") {
				_, problems = proxy.Load(name, nil)
			}
			for _, p := range problems {
				if strings.HasSuffix(p.Message, ": no such file") { // a proxy.yaml names others, which blocks before it may write
					continue
				}
				t.Errorf("%s:%d: in the file that begins here: %s", page, b.line, p)
			}
		}
	}
	if n < 3 {
		t.Errorf("found %d pipelines in the pages; the test looks in the wrong place", n)
	}
}

// TestCommandsOfPages: every rpipe command that a page shows, in a block or in
// its text, is there and has its flags.
func TestCommandsOfPages(t *testing.T) {
	command := regexp.MustCompile(`(?m)(?:^|[\s;&|(])(?:bin/)?rpipe ([a-z]+)([^\n;&|)#>]*)`)
	inline := regexp.MustCompile("`rpipe ([a-z]+)([^`]*)`")
	flag := regexp.MustCompile(`(?:^|\s)(--?[a-z0-9-]+)`)
	subcommand, grouped := regexp.MustCompile(`^ [a-z]+\b`), map[string]bool{"state": true, "dlq": true, "token": true, "task": true, "queue": true, "worker": true, "schedule": true, "env": true, "owner": true}
	help, n := map[string]string{}, 0
	for _, page := range pages(t) {
		shown := inline.FindAllStringSubmatch(prose(read(t, page)), -1)
		for _, b := range blocks(t, page) {
			if b.language == "sh" {
				shown = append(shown, command.FindAllStringSubmatch(b.text, -1)...)
			}
		}
		for _, m := range shown {
			n++
			name, rest := m[1], m[2]
			if sub := subcommand.FindString(rest); grouped[name] && sub != "" {
				name += sub // rpipe state show
			}
			if _, asked := help[name]; !asked {
				out, err := run(t, root, program.Path, append(strings.Fields(name), "--help")...)
				if err != nil || !strings.Contains(out, "rpipe "+name) {
					t.Errorf("%s: there is no command rpipe %s", page, name)
				}
				help[name] = out
			}
			for _, f := range flag.FindAllStringSubmatch(rest, -1) {
				if !regexp.MustCompile(`(^|[\s,])` + f[1] + `\b`).MatchString(help[name]) {
					t.Errorf("%s: rpipe %s has no flag %s", page, name, f[1])
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("found %d commands in the pages; the test looks in the wrong place", n)
	}
}

// TestTargetsOfPages: every make target that a page shows is in the Makefile.
func TestTargetsOfPages(t *testing.T) {
	makefile := read(t, "Makefile")
	call := regexp.MustCompile(`(?m)(?:^|\x60|&& )make ([a-z-]+)`)
	for _, page := range pages(t) {
		for _, m := range call.FindAllStringSubmatch(read(t, page), -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: there is no make target %s", page, m[1])
			}
		}
	}
}

// TestLinks: links between pages, to files and to headings lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(read(t, page)), -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			name, heading, _ := strings.Cut(target, "#")
			if name == "" {
				name = path.Base(page)
			}
			file := path.Join(path.Dir(page), name)
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, target)
			} else if heading != "" && !anchors(read(t, file))[heading] {
				t.Errorf("%s: %s has no heading #%s", page, file, heading)
			}
		}
	}
}

// anchors are what can stand behind the # of a link to a page, as GitHub makes them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(prose(text)) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		var b strings.Builder
		for _, c := range strings.ToLower(strings.TrimSpace(title)) {
			switch {
			case c == ' ':
				b.WriteByte('-')
			case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c > 127:
				b.WriteRune(c)
			}
		}
		all[b.String()] = true
	}
	return all
}
