package configs

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestReference(t *testing.T) {
	var out bytes.Buffer
	if err := Reference(&out, new(pipelineFile), ReferenceOptions{Title: "Pipeline file", Intro: "Every key."}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/reference.md", out.Bytes())

	anchors := map[string]bool{}
	for _, line := range strings.Split(out.String(), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			if anchors[anchor(heading)] {
				t.Errorf("two headings %s", heading)
			}
			anchors[anchor(heading)] = true
		}
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(out.String(), -1)
	for _, link := range links {
		if !anchors[link[1]] {
			t.Errorf("nothing has the anchor #%s", link[1])
		}
	}
	if len(links) < 10 {
		t.Errorf("%d links", len(links))
	}
}

func TestReferenceReportsAWriterThatFails(t *testing.T) {
	if Reference(fullDisk{}, new(pipelineFile), ReferenceOptions{}) == nil {
		t.Error("no error")
	}
}
