package server

import (
	"encoding/json"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// TestFromSubmissionToResults: what the README of the API promises, with real R.
func TestFromSubmissionToResults(t *testing.T) {
	s := withR.get(t)
	j := submit(t, s.c, `{"fun": "function(x, y) x^2 + y", "over": [1, 2, 3], "args": {"y": 10}, "name": "squares"}`)
	if j.N != 3 || !j.Array || j.Name != "squares" || j.Queue != "default" {
		t.Errorf("%+v", j)
	}
	if r := ended(t, s.c, j.ID); r.States["COMPLETE"] != 3 || r.Total != 3 {
		t.Errorf("%+v", r)
	}
	var got []string
	err := s.c.Results(t.Context(), j.ID, 1, 0, func(r *api.Result) error {
		text, _ := json.Marshal(r.Value)
		got = append(got, string(text))
		return nil
	})
	if err != nil || len(got) != 3 || got[0] != "11" || got[1] != "14" || got[2] != "19" {
		t.Errorf("%v %v", got, err)
	}
}
