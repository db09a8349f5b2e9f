package main

import (
	"fmt"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// bill is a document of CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/: the fields
// that a Go program fills.
type bill struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Licenses   []licensed `json:"licenses,omitempty"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type licensed struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// newBill lists Go's own library and the modules of a program, in the order of their
// paths. A module that was replaced stands there as what replaced it.
func newBill(info *debug.BuildInfo, at time.Time, licenses []license) bill {
	main := moduleComponent("application", &info.Main)
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "vcs.revision", "vcs.time", "vcs.modified":
			main.Properties = append(main.Properties, property{"go:" + s.Key, s.Value})
		}
	}
	version := strings.TrimPrefix(info.GoVersion, "go")
	std := component{Type: "library", Name: "std", Version: version, PURL: "pkg:golang/std@" + url.PathEscape(version)}
	std.Ref = std.PURL
	std.Licenses = spdx("BSD-3-Clause")

	b := bill{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata:   metadata{Component: main},
		Components: []component{std},
	}
	if !at.IsZero() {
		b.Metadata.Timestamp = at.UTC().Format(time.RFC3339)
	}
	known := make(map[string]string)
	for _, l := range licenses {
		known[l.module] = l.spdx
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := moduleComponent("library", m)
		c.Licenses = spdx(known[m.Path])
		if m.Sum != "" {
			c.Properties = append(c.Properties, property{"go:sum", m.Sum})
		}
		b.Components = append(b.Components, c)
	}
	on := make([]string, len(b.Components))
	for i, c := range b.Components {
		on[i] = c.Ref
	}
	b.Dependencies = []dependency{{Ref: main.Ref, DependsOn: on}}
	return b
}

// add lists a library that is in the program, but is no module.
func (b *bill) add(purl string) error {
	path, version, ok := strings.Cut(purl, "@")
	if !ok || !strings.HasPrefix(purl, "pkg:") || version == "" {
		return fmt.Errorf("--with %s: a purl is pkg:TYPE/NAME@VERSION", purl)
	}
	c := component{Ref: purl, Type: "library", Name: path[strings.LastIndex(path, "/")+1:], Version: version, PURL: purl}
	b.Components = append(b.Components, c)
	b.Dependencies[0].DependsOn = append(b.Dependencies[0].DependsOn, purl)
	return nil
}

func moduleComponent(kind string, m *debug.Module) component {
	version := m.Version
	if version == "" {
		version = "(devel)"
	}
	purl := "pkg:golang/" + m.Path + "@" + url.PathEscape(version)
	return component{Ref: purl, Type: kind, Name: m.Path, Version: version, PURL: purl}
}

func spdx(id string) []licensed {
	if id == "" {
		return nil
	}
	l := licensed{}
	l.License.ID = id
	return []licensed{l}
}

// sourceTime reads SOURCE_DATE_EPOCH, seconds since 1970; empty is no time at all.
func sourceTime(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(n, 0), nil
}
