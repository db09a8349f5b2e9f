package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// variables are the values of -v name=value.
type variables map[string]string

func (v *variables) flag(c *cobra.Command) {
	c.Flags().VarP(v, "var", "v", "set ${name} in the file; wins over the environment; may be repeated")
}

// Set implements pflag.Value. A value may hold commas and equals signs.
func (v *variables) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("want name=value")
	}
	if *v == nil {
		*v = variables{}
	}
	(*v)[name] = value
	return nil
}

func (v *variables) String() string { return "" }

// Type implements pflag.Value.
func (v *variables) Type() string { return "name=value" }
