package sinks

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// The bytes are those that the manifest says, whatever the format, in a prefix,
// at the top of a bucket, and in single files.
func TestEveryFormatOnS3(t *testing.T) {
	for _, s := range fileSinks {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := onS3(t, s.ext, s.make)
			for _, path := range []string{"", "a/b", "a/b/", "one" + s.ext, "a/one" + s.ext} {
				env := g.env(t, "run-1")
				w := open(t, g.sink(path, Files{}), env)
				write(t, w, rows(0, 0, 2000))
				parts := must(w.Prepare(t.Context(), 0))(t)
				check(t, w.Publish(t.Context(), parts))
				check(t, w.Finish(t.Context(), true))
				dir := filepath.Join(env.Dir, filepath.FromSlash(strings.TrimPrefix(w.(Rooted).Root(), "s3://"+filepath.Base(env.Dir))))
				for _, p := range parts {
					if err := same(filepath.Join(dir, p.Path), p); err != nil {
						t.Errorf("%q: %v", path, err)
					}
				}
				if len(parts) != 1 || len(visible(t, env.Dir)) != 1 || uploads(t, env) > 0 {
					t.Errorf("%q: parts %+v, visible %v", path, parts, visible(t, env.Dir))
				}
			}
		})
	}
}

// A key has at most 1024 bytes, which is said at the partition's first row.
func TestPartitionWithALongKey(t *testing.T) {
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
		typed("p", arrow.BinaryTypes.String), typed("q", arrow.BinaryTypes.String), typed("x", arrow.PrimitiveTypes.Int32),
	}, nil))
	b.Column(0).AppendString(strings.Repeat("a", 200))
	b.Column(1).AppendString(strings.Repeat("/", 300)) // escaped: three bytes each
	b.Column(2).AppendInt32(1)
	w := open(t, g.sink("out", Files{PartitionBy: []string{"p", "q"}}), env)
	err := w.Write(t.Context(), rowsOf(must(b.Frame())(t)))
	if err == nil || !strings.Contains(err.Error(), "more than 1024 bytes") || !strings.Contains(err.Error(), "shorter column") {
		t.Error(err)
	}
}
