package plumber

import (
	"path/filepath"
	"strings"
)

// Config says where a plumber API is and how it is served.
type Config struct {
	File   string `yaml:"file" doc:"The R file: annotated with #* @get and so on, or a script whose value is a router or that starts it with pr_run(). Without it entrypoint.R in dir, else plumber.R." example:"plumber.R"`
	Dir    string `yaml:"dir" doc:"The directory of the API, in which file is looked for. The API runs in the directory of its file."`
	Docs   bool   `yaml:"docs" default:"true" doc:"Serves the documentation at /__docs__/ and /openapi.json, where the API has not switched it off itself. A request for / is redirected there where the API has no / of its own."`
	Static bool   `yaml:"static" default:"true" doc:"Serves the files of @assets without an R worker, where no filter and no hook of the API would see the request."`
	Retry  bool   `yaml:"retry" default:"true" doc:"Gives a GET, HEAD, OPTIONS, PUT or DELETE request whose worker died to a second one. Others are answered with 502."`
}

// Root is the directory in which the API runs, as the configuration writes it.
func (c *Config) Root() string {
	dir, _ := c.split()
	return dir
}

// split is the directory and what to load in it, "." for what is there.
func (c *Config) split() (dir, name string) {
	file := c.File
	switch {
	case file == "":
		file = c.Dir + "/"
	case c.Dir != "" && !filepath.IsAbs(file):
		file = c.Dir + "/" + file
	}
	if strings.HasSuffix(file, "/") {
		if file == "/" && c.Dir == "" {
			return ".", "."
		}
		return filepath.Clean(file), "."
	}
	return filepath.Dir(file), filepath.Base(file)
}

// files are those that the router is read from, as far as is known without reading
// them.
func (c *Config) files() []string {
	if _, name := c.split(); name != "." {
		return []string{name}
	}
	return []string{"entrypoint.R", "plumber.R"}
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	if c.Dir != "" && filepath.IsAbs(c.File) {
		report("dir", "has no meaning beside an absolute file", "leave one of them out")
	}
}
