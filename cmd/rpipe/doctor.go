package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// finding is one line of the doctor's.
type finding struct {
	What   string `json:"what"`
	Found  string `json:"found"`
	Status string `json:"status"` // ok, note or bad
	Mend   string `json:"mend,omitempty"`
}

func newDoctor() *cobra.Command {
	var packages []string
	var vars variables
	var s3 string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor [FILE]",
		Short: "Look whether this machine has what pipelines need",
		Long: `Look whether R is here, which version and packages, whether workers can be
forked, whether there is room for temporary files, and whether S3 can be
read and written. Each finding says how to mend it. With FILE, the packages, the
R and the s3 block of that pipeline are looked at. --s3 writes small objects
below the address, and removes them.

Exit status: 0 all is well; 3 something is missing.`,
		Example: examplesText(`
			rpipe doctor
			rpipe doctor pipeline.yaml
			rpipe doctor --package data.table --s3 s3://my-bucket/prefix`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			env := &rpool.Environment{Packages: packages}
			var config store.Config
			if len(args) == 1 {
				f, err := load(args[0], vars)
				if err != nil {
					return err
				}
				fromFile := f.Environment()
				fromFile.Packages = append(fromFile.Packages, packages...)
				env, config = fromFile, f.S3
			}
			ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
			defer cancel()
			findings := examine(ctx, env, s3, config)
			return diagnose(findings, asJSON)
		},
	}
	vars.flag(c)
	c.Flags().StringArrayVar(&packages, "package", nil, "an R package that must be installed; may be repeated")
	c.Flags().StringVar(&s3, "s3", "", "a place to read and write, such as s3://bucket/prefix")
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func examine(ctx context.Context, env *rpool.Environment, s3 string, config store.Config) []finding {
	findings := examineR(ctx, env)
	findings = append(findings, examineTemp())
	engine := finding{What: "SQL engine", Found: stages.SQLVersion(), Status: "ok"}
	if !strings.Contains(engine.Found, "DuckDB") {
		engine.Status, engine.Mend = "bad", "filter and derive need a build with cgo: make build, with a C++ compiler"
	}
	findings = append(findings, engine)
	if s3 == "" {
		return append(findings, finding{What: "S3", Found: "not looked at", Status: "note", Mend: "rpipe doctor --s3 s3://bucket"})
	}
	return append(findings, examineS3(ctx, s3, config)...)
}

// examineR looks for R, its version and packages, and tries a fork.
func examineR(ctx context.Context, env *rpool.Environment) []finding {
	bin, version, err := rpool.FindR(env.R)
	if err != nil {
		return []finding{{What: "R", Found: firstLine(err), Status: "bad", Mend: hint(err)}}
	}
	findings := []finding{{What: "R", Found: fmt.Sprintf("%s (%s)", version, bin), Status: "ok"}}
	info, err := rpool.Probe(ctx, env)
	if err != nil {
		return append(findings, finding{What: "R starts", Found: firstLine(err), Status: "bad", Mend: hint(err)})
	}
	for _, name := range slices.Sorted(maps.Keys(info.Packages)) {
		f := finding{What: "package " + name, Found: info.Packages[name], Status: "ok"}
		if f.Found == "" {
			f.Found, f.Status, f.Mend = "not installed", "bad", fmt.Sprintf("in R: install.packages(%q)", name)
		}
		findings = append(findings, f)
	}
	fork := finding{What: "workers", Found: "forked from a template", Status: "ok"}
	if !info.Forks {
		fork.Found, fork.Status = "started afresh each: "+info.WhyNot, "note"
		fork.Mend = "it works, but each worker takes seconds to start and shares no memory; r.before_fork and r.canary can help"
	}
	return append(findings, fork)
}

// examineTemp looks for room where runs keep their pipes and scratch files.
func examineTemp() finding {
	dir := os.TempDir()
	f := finding{What: "temporary files", Status: "ok"}
	probe, err := os.CreateTemp(dir, "rpipe-doctor-")
	if err != nil {
		f.Found, f.Status, f.Mend = err.Error(), "bad", "set TMPDIR to a directory that can be written"
		return f
	}
	probe.Close()
	os.Remove(probe.Name())
	free, known := freeBytes(dir)
	f.Found = dir
	if known {
		f.Found += fmt.Sprintf(", %d MiB free", free>>20)
		if free < 1<<30 {
			f.Status, f.Mend = "note", "spilling needs room: set TMPDIR to a larger disk"
		}
	}
	return f
}

// diagnose prints the findings; the error carries the exit status.
func diagnose(findings []finding, asJSON bool) error {
	bad := 0
	for _, f := range findings {
		if f.Status == "bad" {
			bad++
		}
	}
	if asJSON {
		if err := printJSON(findings); err != nil {
			return unprinted(err)
		}
	} else {
		marks := map[string]string{"ok": "✓", "note": "·", "bad": "✗"}
		for _, f := range findings {
			fmt.Printf("%s %-16s %s\n", marks[f.Status], f.What, f.Found)
			if f.Mend != "" {
				fmt.Printf("  %-16s → %s\n", "", f.Mend)
			}
		}
	}
	if bad > 0 {
		return exitCode(pipeline.ExitEnvironment)
	}
	return nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// hint is how a *rpool.StartError is mended.
func hint(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "\n")
	return strings.ReplaceAll(strings.TrimSpace(rest), "\n", " ")
}
