package pipeline

import "cmp"

// spot is where a part stands in the graph: in the trunk or in a branch, and as
// which part of it.
type spot struct {
	branch int // -1 is the trunk
	index  int // of the stage; -1 is the source, or the condition of a branch
	sink   bool
}

func (s spot) stage() bool { return s.index >= 0 && !s.sink }

// follows reports whether rows that enter at another spot come by.
func (s spot) follows(from spot) bool {
	if s.branch == from.branch {
		return s.index >= from.index
	}
	return from.branch < 0
}

// compare orders spots as the file does.
func (s spot) compare(t spot) int {
	return cmp.Or(cmp.Compare(s.branch, t.branch), cmp.Compare(s.index, t.index))
}

// spots are the parts by their labels.
func (f *File) spots() map[string]spot {
	g := *f
	g.label()
	spots := map[string]spot{"source": {branch: -1, index: -1}}
	for i := range g.Stages {
		spots[g.Labels[i]] = spot{branch: -1, index: i}
	}
	for i, b := range g.branches() {
		if b.when != "" {
			spots[b.label+".when"] = spot{branch: i, index: -1}
		}
		for k, label := range b.labels {
			spots[label] = spot{branch: i, index: k}
		}
		spots[b.label] = spot{branch: i, index: len(b.stages), sink: true}
	}
	return spots
}
