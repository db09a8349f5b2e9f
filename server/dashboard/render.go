package dashboard

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages by name: each is the layout with a main of its own.
var templates = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	shared := template.Must(template.New("layout.html").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // they are in the binary
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name != "layout" && name != "parts" {
			all[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+e.Name()))
		}
	}
	return all
}()

// view is what a page shows.
type view struct {
	Title string // of the window, and the heading
	Nav   string // the entry of the navigation that it belongs to
	Live  string // topics at which it is made anew, with spaces between
	Data  any
}

// page is what templates have.
type page struct {
	view
	Who     Who
	URI     string // of this page, for forms to come back to
	Version string
	Static  string // version of the static files
	Flash   *flash
}

// Can reports whether who asks has one of these scopes.
func (p *page) Can(scopes ...string) bool { return p.Who.can(scopes...) }

// MayChange reports whether who asks may change what is an owner's.
func (p *page) MayChange(owner string) bool { return p.Who.mayChange(owner) }

// maker makes a view of a request.
type maker func(r *http.Request) (*view, error)

// page answers a route with a page, or, for the script of an open page, with its inside.
func (d *Dashboard) page(route, name string, f maker) {
	d.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-Fragment")
		w.Header().Set("Cache-Control", "no-store")
		if r.Header.Get("X-Fragment") != "" {
			d.fragment(w, r, name, f)
			return
		}
		v, err := f(r)
		if err != nil {
			d.fault(w, r, err)
			return
		}
		d.write(w, r, http.StatusOK, name, v)
	})
}

// write answers with a page.
func (d *Dashboard) write(w http.ResponseWriter, r *http.Request, status int, name string, v *view) {
	p := d.pageOf(r, v)
	p.Flash = takeFlash(w, r)
	var b bytes.Buffer
	if err := templates[name].Execute(&b, p); err != nil {
		d.log.Error("a page cannot be made", "page", name, "error", err)
		http.Error(w, "the page cannot be made; the server's log says more", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (d *Dashboard) pageOf(r *http.Request, v *view) *page {
	return &page{view: *v, Who: d.o.Who(r), URI: r.URL.RequestURI(), Version: d.o.Version, Static: staticVersion}
}

// fragment answers with the inside of a page.
func (d *Dashboard) fragment(w http.ResponseWriter, r *http.Request, name string, f maker) {
	who := d.o.Who(r)
	key := strings.Join([]string{who.Owner, strings.Join(who.Scopes, ","), who.Token, r.URL.RequestURI()}, "\x00")
	html, err := d.fragments.get(key, func() ([]byte, error) {
		v, err := f(r)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = templates[name].ExecuteTemplate(&b, "inside", d.pageOf(r, v))
		return b.Bytes(), err
	})
	if err != nil {
		d.fault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(html)
}

// fault answers with a page that says what is wrong.
func (d *Dashboard) fault(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	if f.Status >= 500 {
		d.log.Error("a page failed", "path", r.URL.Path, "error", err)
	}
	title := map[int]string{400: "That cannot be", 403: "Not allowed", 404: "Not found", 409: "Not now", 503: "Not now"}[f.Status]
	if title == "" {
		title = "Something went wrong"
	}
	d.write(w, r, f.Status, "error", &view{Title: title, Data: f})
}

// faultOf is what is told of an error.
func faultOf(err error) *api.Fault {
	var f *api.Fault
	if !errors.As(err, &f) {
		f = &api.Fault{Status: http.StatusInternalServerError, Message: "An error of the server; its log says more."}
	}
	return f
}

// flash is a line that the next page shows: what became of a form.
type flash struct {
	Text string
	Bad  bool
	Link string // to what it speaks of; "" for nothing
}

const flashCookie = "rpipe_flash"

// setFlash keeps a line in a cookie, so that no address can make a page say things.
func setFlash(w http.ResponseWriter, f *flash) {
	text, err := json.Marshal(f)
	if err != nil || len(text) > 3000 {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString(text), Path: "/ui/", MaxAge: 30,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeFlash is the line that there is, once.
func takeFlash(w http.ResponseWriter, r *http.Request) *flash {
	c, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/ui/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	var f flash
	if err != nil || json.Unmarshal(text, &f) != nil || (f.Link != "" && !strings.HasPrefix(f.Link, "/ui/")) {
		return nil
	}
	return &f
}

// back leads to the page that a form is on, with a line.
func back(w http.ResponseWriter, r *http.Request, otherwise string, f *flash) {
	setFlash(w, f)
	to := r.PostFormValue("back")
	if !strings.HasPrefix(to, "/ui/") || strings.ContainsAny(to, "\\\r\n") {
		to = otherwise
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// confirmed reports whether the form says that it is meant; otherwise it asks, on a page
// of its own, as browsers without JavaScript have no other way.
func (d *Dashboard) confirmed(w http.ResponseWriter, r *http.Request, question, button string) bool {
	if r.PostFormValue("confirmed") == "yes" {
		return true
	}
	type field struct{ Name, Value string }
	data := struct {
		Question, Button, Action, Back string
		Fields                         []field
	}{Question: question, Button: button, Action: r.URL.RequestURI(), Back: r.PostFormValue("back")}
	if !strings.HasPrefix(data.Back, "/ui/") {
		data.Back = "/ui/"
	}
	for name, all := range r.PostForm {
		for _, v := range all {
			if name != "csrf_token" && name != "confirmed" {
				data.Fields = append(data.Fields, field{name, v})
			}
		}
	}
	d.write(w, r, http.StatusOK, "confirm", &view{Title: "Are you sure?", Data: &data})
	return false
}

func plural(n int64, one string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", one)
	}
	return fmt.Sprintf("%s %ss", number(n), one)
}
