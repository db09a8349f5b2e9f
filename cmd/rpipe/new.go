package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs/examples"
	"github.com/rpipe-dev/rpipe/pipeline"
)

func newNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new [DIR]",
		Short: "Make a pipeline, an R file and sample data that run at once",
		Long: `Make a commented pipeline, an R file and sample data in DIR (default: rpipe-demo).
No file that exists is touched.`,
		Example: examplesText(`
			rpipe new
			rpipe run rpipe-demo/pipeline.yaml`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "rpipe-demo"
			if len(args) == 1 {
				dir = args[0]
			}
			if err := unpack(examples.Starter(), dir); err != nil {
				fmt.Fprintf(os.Stderr, "rpipe: %v\n", err)
				return exitCode(pipeline.ExitEnvironment)
			}
			fmt.Printf("Made %s. Now:\n\n  rpipe run %s\n", dir, filepath.Join(dir, "pipeline.yaml"))
			return nil
		},
	}
}

// unpack copies files to dir. It first looks whether any is in the way.
func unpack(files fs.FS, dir string) error {
	each := func(do func(name, to string) error) error {
		return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			return do(name, filepath.Join(dir, filepath.FromSlash(name)))
		})
	}
	err := each(func(_, to string) error {
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already; name another directory: rpipe new DIR", to)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(func(name, to string) error {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o666)
	})
}
