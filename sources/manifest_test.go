package sources

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func manifestOf(format string, more string, files ...string) string {
	var list []string
	for _, f := range files {
		list = append(list, fmt.Sprintf(`{"path":%q,"rows":1}`, f))
	}
	return fmt.Sprintf(`{"version":1,"format":%q,"files":[%s]%s}`, format, strings.Join(list, ","), more)
}

// A directory with a manifest is exactly what the manifest names.
func TestManifest(t *testing.T) {
	f := func(c CSV, want, logged string, nameText ...string) {
		t.Helper()
		var log bytes.Buffer
		env := files(t, append(nameText, "in/a.csv", "x\n1\n", "in/sub/b.csv", "x\n2\n", "in/c.csv", "x\n3\n")...)
		env.Log = slog.New(slog.NewTextHandler(&log, nil))
		if c.Path == nil {
			c.Path = Paths{"in"}
		}
		if got := flatten(t, csvOf(c), env); got != "x int32\n"+want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := log.String(); logged == "" && got != "" || strings.Count(got, "\n") > 1 || !strings.Contains(got, logged) {
			t.Errorf("log %q, want %s", got, logged)
		}
	}
	const all = "1\n3\n2\n" // by name: in/a.csv, in/c.csv, in/sub/b.csv
	f(CSV{}, all, "")
	f(CSV{}, all, "", "in/_manifest.json", manifestOf("csv", "", "sub/b.csv", "c.csv", "a.csv"))
	f(CSV{}, "1\n2\n", "path=in files=1", "in/_manifest.json", manifestOf("csv", "", "sub/b.csv", "a.csv"))
	f(CSV{}, "2\n", "path=in files=2", "in/_manifest.json", manifestOf("csv", `,"partial":true`, "sub/b.csv"))
	f(CSV{Manifest: "off"}, all, "", "in/_manifest.json", manifestOf("csv", "", "a.csv"))
	f(CSV{Path: Paths{"in/**"}}, all, "", "in/_manifest.json", manifestOf("csv", "", "a.csv"))
	// Old files that a replace has yet to delete are no news.
	f(CSV{}, "1\n", "", "in/_manifest.json", manifestOf("csv", `,"replaces":["c.csv","sub/b.csv"]`, "a.csv"))
	// Those of other formats, and other programs' files, are not ours.
	f(CSV{}, "1\n", "path=in files=2", "in/_manifest.json", manifestOf("csv", "", "a.csv", "x.parquet"))
	f(CSV{}, all, "", "in/_manifest.json", `{"files":["a.csv"]}`)

	bad := func(want string, nameText ...string) {
		t.Helper()
		_, err := rowsOf(t, csvOf(CSV{Path: Paths{"in"}}), files(t, append(nameText, "in/a.csv", "x\n1\n")...))
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	bad("csv: read in: 2 of the 3 files that its _manifest.json names are gone, such as b.csv; manifest: off reads those that are there",
		"in/_manifest.json", manifestOf("csv", "", "a.csv", "b.csv", "c.csv"))
	bad("csv: read in: 1 of the 1 files that its _manifest.json names are gone, such as ../a.csv; manifest: off reads those that are there",
		"in/_manifest.json", manifestOf("csv", "", "../a.csv"))
	bad("csv: read in: its _manifest.json names no file that ends in .csv or .csv.gz or .csv.zst or .csv.bz2 or .csv.xz or .tsv or .tsv.gz or .tsv.zst or .tsv.bz2 or .tsv.xz",
		"in/_manifest.json", manifestOf("parquet", "", "a.parquet"))
	bad("csv: read in: its _manifest.json is of version 9: a newer rpipe wrote it, use that one (manifest: off reads the files that are there)",
		"in/_manifest.json", strings.Replace(manifestOf("csv", "", "a.csv"), `"version":1`, `"version":9`, 1))
}

// changing is a place whose manifest is replaced while it is looked at.
type changing struct {
	place
	manifests []string
}

func (c *changing) read(context.Context, string) ([]byte, error) {
	text := c.manifests[0]
	if len(c.manifests) > 1 {
		c.manifests = c.manifests[1:]
	}
	return []byte(text), nil
}

// A reader that comes in the middle of a replace sees the new files.
func TestManifestReplacedMeanwhile(t *testing.T) {
	env := files(t, "new.csv", "x\n1\n")
	c := &changing{localDirectory{env.Dir, ""}, []string{manifestOf("csv", "", "old.csv"), manifestOf("csv", "", "older.csv"), manifestOf("csv", "", "new.csv")}}
	got, err := (&root{place: c}).list(t.Context(), &search{suffixes: []string{".csv"}}, nil, "in")
	if err != nil || len(got) != 1 || got[0].name != "new.csv" {
		t.Errorf("%v, %v", got, err)
	}
}
