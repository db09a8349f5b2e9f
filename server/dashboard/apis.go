package dashboard

import (
	"net/http"
	"net/url"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// apis are those that the server has mounted.
func (d *Dashboard) apis(r *http.Request) (*view, error) {
	v := &view{Title: "APIs", Nav: "apis", Live: "tick"}
	who := d.o.Who(r)
	if !who.can("read", "admin") {
		return nil, &api.Fault{Status: http.StatusForbidden, Message: "The figures of APIs take scope read or admin."}
	}
	var all api.APIs
	if err := d.get(r, "/v1/apis", nil, &all); err != nil {
		return nil, err
	}
	for i := range all.APIs {
		if err := d.get(r, "/v1/apis/"+url.PathEscape(all.APIs[i].Name), nil, &all.APIs[i]); err != nil && faultOf(err).Status != http.StatusNotFound {
			return nil, err
		}
	}
	v.Data = all.APIs
	return v, nil
}
