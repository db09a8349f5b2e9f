package compact

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// What cannot be compacted is refused in words that help, and stays as it is.
func TestRefuses(t *testing.T) {
	small2 := func(t *testing.T, env *stages.Env) { small(t, env, sinks.Parquet{Path: "out"}, 2, 10) }
	f := func(name string, prepare func(t *testing.T, env *stages.Env), change func(o *Options), want ...string) {
		t.Run(name, func(t *testing.T) {
			env := testEnv(t, "run-1")
			prepare(t, env)
			before := tree(t, env.Dir)
			o := options(env, "out")
			if change != nil {
				change(&o)
			}
			_, err := Run(t.Context(), o)
			if err == nil {
				t.Fatal("it was compacted")
			}
			for _, w := range append(want, "compact "+o.Path+": ") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v; want %s", err, w)
				}
			}
			if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
				t.Error(d)
			}
		})
	}
	file := func(path, text string) func(t *testing.T, env *stages.Env) {
		return func(t *testing.T, env *stages.Env) {
			path := filepath.Join(env.Dir, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f("nothing there", file("other/x", ""), nil, "there is no such directory")
	f("one file", file("out", ""), nil, "it is one file")
	f("no Parquet", file("out/a.csv", "x\n1\n"), nil, "no Parquet file is in it, but a.csv", "only Parquet files are compacted")
	f("an empty directory", file("out/.keep", ""), nil, "no Parquet file is in it")
	f("an output of CSV", func(t *testing.T, env *stages.Env) {
		commit(t, env, &sinks.CSV{Path: "out"}, randomRows(t, columns(t, "id int64"), 0, 3))
	}, nil, "it holds csv files")
	f("no manifest", func(t *testing.T, env *stages.Env) {
		small2(t, env)
		if err := os.Remove(filepath.Join(env.Dir, "out", "_manifest.json")); err != nil {
			t.Fatal(err)
		}
	}, nil, "it has no _manifest.json", "--to out-compacted")
	f("another manifest", file("out/_manifest.json", `{"name": "an app"}`), nil, "_manifest.json has version 0")
	f("a broken manifest", file("out/_manifest.json", `{`), nil, "_manifest.json: unexpected end", "name another place with to")
	f("a stranger's file beside", func(t *testing.T, env *stages.Env) {
		small2(t, env)
		file("out/strange.parquet", "x")(t, env)
	}, nil, "strange.parquet is not a file that rpipe wrote there")
	f("a file that changed", func(t *testing.T, env *stages.Env) {
		small2(t, env)
		file("out/"+manifestOf(t, filepath.Join(env.Dir, "out")).Files[1].Path, "x")(t, env)
	}, nil, "it has 1 bytes, and", "something else has changed it")
	f("a file that is gone", func(t *testing.T, env *stages.Env) {
		small2(t, env)
		if err := os.Remove(filepath.Join(env.Dir, "out", manifestOf(t, filepath.Join(env.Dir, "out")).Files[1].Path)); err != nil {
			t.Fatal(err)
		}
	}, func(o *Options) { o.To = "new" }, "no such file")
	f("to itself", small2, func(o *Options) { o.To = "./out/" }, "is the same place")
	f("into itself", small2, func(o *Options) { o.To = "out/new" }, "or inside of it")
	f("to where something is", func(t *testing.T, env *stages.Env) {
		small2(t, env)
		small(t, env, sinks.Parquet{Path: "new"}, 1, 3)
	}, func(o *Options) { o.To = "new" }, "output exists", "compact out: ")
	f("two ways", small2, func(o *Options) { o.To, o.Publish = "new", Beside }, "leave one of them out")
	f("no such column", small2, func(o *Options) { o.Sort = []string{"-nix"} }, `sort: there is no column "nix"`, "at, b, clock")
	f("a column twice", small2, func(o *Options) { o.Sort = []string{"id", "-id"} }, `column "id" is empty or named twice`)
	f("no such level", small2, func(o *Options) { o.Level = 30 }, "level is outside")
	f("no such compression", small2, func(o *Options) { o.Compression = "rar" }, `not "rar"`)
	f("directories that do not agree", func(t *testing.T, env *stages.Env) {
		plain(t, filepath.Join(env.Dir, "out/a=1/x.parquet"), struct{ ID int64 }{1})
		plain(t, filepath.Join(env.Dir, "out/b=1/x.parquet"), struct{ ID int64 }{1})
	}, func(o *Options) { o.To = "new" }, "are not col=value of the same columns")
	f("a column in the files and in the directories", func(t *testing.T, env *stages.Env) {
		plain(t, filepath.Join(env.Dir, "out/ID=1/x.parquet"), struct{ ID int64 }{1})
	}, func(o *Options) { o.To = "new" }, `column "ID" is in the files and in the names`)
	f("a decimal", func(t *testing.T, env *stages.Env) {
		plain(t, filepath.Join(env.Dir, "out/x.parquet"), struct {
			Price int64 `parquet:"price,decimal(2:10)"`
		}{1})
	}, func(o *Options) { o.To = "new" }, `x.parquet: column "price": a decimal would become a double`)
	f("nanoseconds", func(t *testing.T, env *stages.Env) {
		plain(t, filepath.Join(env.Dir, "out/x.parquet"), struct {
			At int64 `parquet:"at,timestamp(nanosecond)"`
		}{1})
	}, func(o *Options) { o.To = "new" }, "would lose its nanoseconds")
	f("something that is no Parquet", file("out/x.parquet", "PAR1 and nothing else PAR1"), func(o *Options) { o.To = "new" }, "x.parquet: it is no Parquet file, or damaged")
}

// commit writes a frame with any sink.
func commit(t testing.TB, env *stages.Env, s sinks.Sink, f frame.Frame) {
	t.Helper()
	w, err := s.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Write(t.Context(), &stages.Rows{Value: f, Rows: int(f.NumRows())})
	var parts []sinks.Part
	if err == nil {
		parts, err = w.Prepare(t.Context(), stages.FinalEpoch)
	}
	if err == nil {
		err = w.Publish(t.Context(), parts)
	}
	if err = errors.Join(err, w.Finish(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
}

// plain writes a Parquet file as other programs do.
func plain[T any](t testing.TB, path string, rows ...T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
}

// While a run writes there, or another compaction, nothing is done.
func TestRefusesWhileARunWrites(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 3, 10)
	e := *env
	e.Run = "run-2"
	w, err := (&sinks.Parquet{Path: "out", Files: sinks.Files{IfExists: "append"}}).Open(t.Context(), &e)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), options(env, "out"))
	if !errors.Is(err, sinks.ErrLocked) || !strings.Contains(err.Error(), "run-2") {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	compacted(t, options(env, "out"))
}

// Files of other programs are compacted to another place, where every column
// keeps its values.
func TestForeignFiles(t *testing.T) {
	env := testEnv(t, "run-1")
	type row struct {
		ID   int64    `parquet:"id"`
		Name *string  `parquet:"name,optional"`
		X    float32  `parquet:"x"`
		N    int8     `parquet:"n"`
		Tags []string `parquet:"tags,list"`
	}
	name := "a"
	for i := range 3 {
		plain(t, filepath.Join(env.Dir, fmt.Sprintf("out/month=0%d/x.parquet", i+1)), row{int64(2 * i), &name, 1.5, 3, []string{"u", "v"}}, row{int64(2*i + 1), nil, 2, -4, nil})
		plain(t, filepath.Join(env.Dir, fmt.Sprintf("out/month=0%d/y.parquet", i+1)), row{int64(2*i + 10), &name, 0, 0, nil})
	}
	o := options(env, "out")
	o.To = "new"
	r := compacted(t, o)
	if r.Merged != 6 || r.Written != 3 || r.Rows != 9 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]string{"month=01", "month=02", "month=03"}, directories(t, filepath.Join(env.Dir, "new"))); d != "" {
		t.Error(d)
	}
	lines := text(read(t, env, "new"))
	want := []string{"0 a 1.5 3", "1 NA 2 -4", "2 a 1.5 3", "3 NA 2 -4", "4 a 1.5 3", "5 NA 2 -4", "10 a 0 0", "12 a 0 0", "14 a 0 0"}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w+" ") {
			t.Errorf("%s; want %s", lines[i], w)
		}
	}
}

func directories(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
