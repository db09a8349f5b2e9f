package server

import (
	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/front"
)

// File is rpipe.yaml, the configuration of rpipe serve. All of it is optional.
type File struct {
	Version int          `yaml:"version" default:"1" min:"1" max:"1" doc:"The version of this grammar: 1."`
	Listen  front.Listen `yaml:"listen" doc:"Where to listen, and what is taken from a connection."`
}

// Load reads rpipe.yaml. vars are the values of -v name=value, which win over the
// environment. The File is usable unless a problem is an error.
func Load(path string, vars map[string]string) (*File, configs.Problems) { return nil, nil }

// Defaults is the file that says nothing.
func Defaults() *File {
	f := new(File)
	configs.SetDefaults(f)
	return f
}
