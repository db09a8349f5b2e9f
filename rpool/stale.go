package rpool

import (
	"errors"
	"slices"
	"strings"
)

// fresh is an error where files, whose hashes are now as given, are not what the
// workers of c have loaded: a template that takes the place of one that has died,
// and its standby too, would have other code than they. Where no worker is left,
// what is there is loaded, as at a start of the whole. p.mu is held.
func (p *Pool) fresh(c *crew, hashes []string) error {
	var changed []string
	for i, name := range c.env.files() {
		if c.hashes != nil && c.hashes[i] != hashes[i] && !slices.Contains(changed, name) {
			changed = append(changed, name)
		}
	}
	switch {
	case len(changed) == 0:
		return nil
	case len(c.members) == 0:
		p.o.Log.Warn("no R process is left that has loaded the code, which has changed since: the new code is loaded", "environment", c.key, "files", changed)
		return nil
	}
	return &StartError{
		Step: "load", What: strings.Join(changed, ", "),
		Err:  errors.New("changed since it was loaded, and the template and its standby have died; the workers that are left serve on with the old code"),
		Hint: "have the new code loaded (rpipe proxy: SIGHUP), or put the old back",
	}
}
