package configs

import (
	"encoding/json"
	"testing"
)

func TestNameOf(t *testing.T) {
	table := stageSpec{}.Components()
	if got := table.NameOf(new(mapStage)); got != "map" {
		t.Errorf("a map stage is called %q", got)
	}
	if got := table.NameOf(new(csvSource)); got != "" {
		t.Errorf("a source is called %q among stages", got)
	}
}

func TestPairsGet(t *testing.T) {
	p := Pairs{{Name: "a", Value: "1"}, {Name: "b"}}
	if got, ok := p.Get("a"); got != "1" || !ok {
		t.Errorf("a is %q, %v", got, ok)
	}
	if got, ok := p.Get("c"); got != "" || ok {
		t.Errorf("c is %q, %v", got, ok)
	}
}

func TestSizesAndDurationsInJSON(t *testing.T) {
	type limits struct {
		Bytes Size
		Time  Duration
	}
	text, err := json.Marshal(limits{16 << 20, Duration(90 * minute)})
	if string(text) != `{"Bytes":"16MiB","Time":"1h30m"}` || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	var back limits
	if err := json.Unmarshal(text, &back); err != nil || back != (limits{16 << 20, Duration(90 * minute)}) {
		t.Errorf("%v, %v", back, err)
	}
}
