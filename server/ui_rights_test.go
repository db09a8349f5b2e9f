package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// Pages of schedules and pipelines offer what the asker may do, and do not tell him that
// there are none where there are some of others; times say what they are of.
func TestPagesOfSchedulesAndPipelinesFitTheAsker(t *testing.T) {
	dir := pipelineFiles(t, map[string]string{"sales.yaml": "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\n"})
	s := serve(t, func(f *File) {
		f.Auth, f.Pipelines.Dir = "always", dir
		c := Schedule{Name: "yearly", Expr: "1"}
		configs.SetDefaults(&c)
		c.Cron = "@yearly"
		f.Schedules = []Schedule{c}
	})
	admin := s.token(t, "carla", tokens.Admin)
	askers := map[string]struct {
		token        string
		sees, offers bool
	}{
		"an administrator":                {admin, true, true},
		"who may only submit":             {s.token(t, "ben", tokens.Submit), false, false},
		"who reads and submits":           {s.token(t, "rita", tokens.Read, tokens.Submit), true, false},
		"the server's user, reading":      {s.token(t, s.access.self, tokens.Read), true, false},
		"the server's user, with submit":  {s.token(t, s.access.self, tokens.Submit), true, true},
		"the server's user, who does all": {s.token(t, s.access.self, tokens.Read, tokens.Submit), true, true},
	}
	see := func(token, path string) string {
		t.Helper()
		status := 0
		var body string
		eventually(t, func() bool {
			status, _, body = s.ask(t, "GET", path, "", "Authorization", "Bearer "+token)
			return status == 200
		})
		return body
	}
	for name, a := range askers {
		for path, what := range map[string]string{"/ui/schedules": "yearly", "/ui/pipelines": "sales"} {
			body := see(a.token, path)
			if strings.Contains(body, what) != a.sees || strings.Contains(body, "Run "+what+" now") != a.offers || strings.Contains(body, "There are no ") {
				t.Errorf("%s at %s: want it seen %v, offered %v", name, path, a.sees, a.offers)
			}
		}
		if a.sees && strings.Contains(see(a.token, "/ui/pipelines/sales"), "Run now") != a.offers {
			t.Errorf("%s at the pipeline: want it offered %v", name, a.offers)
		}
	}

	var run api.Run
	status, _, body := s.ask(t, "POST", "/v1/schedules/yearly/run", `{"scheduled":"2020-01-01T00:00:00Z"}`, "Authorization", "Bearer "+admin)
	if err := json.Unmarshal([]byte(body), &run); err != nil || status != 201 {
		t.Fatal(status, body)
	}
	eventually(t, func() bool { return strings.Contains(see(admin, "/ui/schedules"), run.ID) })
	if strings.Contains(see(admin, "/ui/schedules"), `datetime="2020-01-01T00:00:00Z" data-time="ago"`) {
		t.Error("a run of today is said to be of years ago")
	}
	k, err := s.keeper.Get("yearly")
	if err != nil || k.Next.IsZero() {
		t.Fatal(k, err)
	}
	if body, want := see(admin, "/ui/schedules/yearly"), k.Next.AddDate(1, 0, 0).UTC().Format("Mon 2 Jan 2006, 15:04:05"); strings.Count(body, want) < 2 { // once as a title
		t.Errorf("the next times lack %s", want)
	}
}
