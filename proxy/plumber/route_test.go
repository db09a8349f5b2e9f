package plumber

import "testing"

// sample is an API with every kind of route, as about.R describes it.
const sample = `{"docs": "/__docs__/", "router": {"open": true,
  "endpoints": [
    {"verbs": ["GET"], "path": "/a", "regex": "^/a$"},
    {"verbs": ["GET", "PUT"], "path": "/n/<id:int>", "regex": "^/n/(-?\\d+)$"},
    {"verbs": ["POST"], "path": "/files/x", "regex": "^/files/x$"}],
  "mounts": [
    {"path": "/files/", "dir": "/site"},
    {"path": "/sub/", "router": {"open": false,
      "endpoints": [{"verbs": ["GET"], "path": "/<x>", "regex": "^/([^/]+)$"}],
      "mounts": [{"path": "/closed/", "dir": "/closed"}]}},
    {"path": "/odd/", "router": {"open": true,
      "endpoints": [{"verbs": ["GET"], "path": "/<x:.*(?=y)>", "regex": "^/(.*(?=y))$"}],
      "mounts": [{"path": "/", "dir": "/odd"}]}}]}}`

func TestRequestsAreLabelledWithTheirRoute(t *testing.T) {
	var a about
	if err := a.read(sample); err != nil {
		t.Fatal(err)
	}
	f := func(method, path, route, file string) {
		t.Helper()
		if m := a.Router.find(method, path, "", true); m.route != route || m.file != file {
			t.Errorf("%s %s: route %q, file %q; want %q and %q", method, path, m.route, m.file, route, file)
		}
	}
	f("GET", "/a", "/a", "")
	f("POST", "/a", "/a", "") // 405
	f("GET", "/a/", "", "")
	f("PUT", "/n/-5", "/n/<id:int>", "")
	f("GET", "/n/five", "", "")
	f("GET", "/files/x", "/files/*", "/x") // the endpoint is for POST
	f("POST", "/files/x", "/files/x", "")
	f("GET", "/files/", "/files/*", "/")
	f("GET", "/files", "", "")
	f("GET", "/sub/1", "/sub/<x>", "")
	f("GET", "/sub/closed/f", "/sub/closed/*", "") // a filter sees it
	f("GET", "/odd/f", "/odd/*", "")               // an endpoint may match, for all that Go knows
	if !a.nobodyLooks() {
		t.Error("filters of routers below the root see no request that matches nothing")
	}
}

func TestWhatRSaysOfAnAPIIsChecked(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"router": 1}`} {
		if err := new(about).read(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestTheDirectoryOfAnAPI(t *testing.T) {
	f := func(file, dir, root, name string) {
		t.Helper()
		c := Config{File: file, Dir: dir}
		if _, got := c.split(); c.Root() != root || got != name {
			t.Errorf("file %q in %q: %q in %q, want %q in %q", file, dir, got, c.Root(), name, root)
		}
	}
	f("", "", ".", ".")
	f("plumber.R", "", ".", "plumber.R")
	f("api/plumber.R", "", "api", "plumber.R")
	f("api/", "", "api", ".")
	f("", "api", "api", ".")
	f("run.R", "api", "api", "run.R")
	f("v1/run.R", "api", "api/v1", "run.R")
	f("/srv/run.R", "", "/srv", "run.R")
}
