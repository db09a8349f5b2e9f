package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRelease: tools/release.sh calls a tree by its tag, and refuses a tag that the
// changelog or the R package does not know.
func TestRelease(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)
		if out, err := run("git", args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	refused := func(why string) {
		t.Helper()
		if out, err := run("tools/release.sh", "check"); err == nil || !strings.Contains(out, why) {
			t.Errorf("check: %v, want an error about %q:\n%s", err, why, out)
		}
	}
	write("tools/release.sh", read(t, "tools/release.sh"))
	write("r/rpipe/DESCRIPTION", "Package: rpipe\nVersion: 1.2.0\n")
	write("r/rpipe/NEWS.md", "# rpipe 1.2.0\n")
	write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n- soon\n\n## [1.1.0] - 2026-01-01\n\n- old\n")
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	out, err := run("tools/release.sh", "version")
	if err != nil || !regexp.MustCompile(`^1\.2\.0-snapshot\.[0-9a-f]{12}\n$`).MatchString(out) {
		t.Errorf("version without a tag: %q, %v", out, err)
	}
	refused("has no tag such as v1.2.0")
	git("tag", "v1.3.0")
	refused("DESCRIPTION says Version: 1.2.0")
	git("tag", "-d", "v1.3.0")
	git("tag", "v1.2.0")
	refused(`CHANGELOG.md has no section "## [1.2.0] - YEAR-MONTH-DAY"`)

	git("tag", "-d", "v1.2.0")
	write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-02-01\n\n- new\n\n## [1.1.0] - 2026-01-01\n\n- old\n")
	git("commit", "-q", "-a", "-m", "two")
	git("tag", "v1.2.0")
	if out, err := run("tools/release.sh", "check"); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err := run("tools/release.sh", "notes"); err != nil || strings.TrimSpace(out) != "- new" {
		t.Errorf("notes: %q, %v", out, err)
	}
	if out, _ := run("tools/release.sh", "version"); out != "1.2.0\n" {
		t.Errorf("version of a tag: %q", out)
	}
	write("CHANGELOG.md", "# Changelog\n")
	refused("files differ from the commit")
	if out, _ := run("tools/release.sh", "version"); !strings.HasSuffix(out, ".modified\n") {
		t.Errorf("version of a changed tree: %q", out)
	}
}

// TestWorkflows: what the workflows of GitHub call is there, so that they run elsewhere too.
func TestWorkflows(t *testing.T) {
	script := read(t, "tools/release.sh")
	makefile := read(t, "Makefile")
	paths, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	command := regexp.MustCompile(`tools/release\.sh ([a-z]+)|make ([a-z-]+)|((?:\.ci|tools)/[a-z/.]+)`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		commands := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(string(text), "")
		for _, m := range command.FindAllStringSubmatch(commands, -1) {
			switch {
			case m[1] != "" && !regexp.MustCompile(`(?m)^[a-z| ]*\b`+m[1]+`\b[a-z| ]*\)`).MatchString(script):
				t.Errorf("%s: %q is no command of tools/release.sh", filepath.Base(path), m[1])
			case m[2] != "" && !strings.Contains(makefile, "\n"+m[2]+":"):
				t.Errorf("%s: there is no target %q", filepath.Base(path), m[2])
			case m[3] != "":
				if _, err := os.Stat(filepath.Join(root, m[3])); err != nil {
					t.Errorf("%s: %v", filepath.Base(path), err)
				}
			}
		}
	}
}
