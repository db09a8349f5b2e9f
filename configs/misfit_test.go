package configs

import "io"

// Structs with mistakes, for TestStructsThatMakeNoSense.

type wrongUnion struct {
	Use io.Reader `yaml:",component"`
	A   int       `yaml:"a"`
}

func (wrongUnion) Components() Table {
	return Table{{"b", "Is no reader.", func() any { return new(deadLetter) }}}
}

type wrongShort struct {
	A int `yaml:"a"`
}

func (wrongShort) Shorthand() string { return "b" }
