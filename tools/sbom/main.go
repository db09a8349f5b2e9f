// Command sbom says what is inside a program that go build has made: a bill of materials
// in CycloneDX's JSON, and the licenses of the modules that are linked in.
//
//	sbom [--version V] [--with PURL] [--notices FILE] PROGRAM > FILE.cdx.json
//
// It reads the build information in the program, so that both list what was linked and
// nothing else. The same program and SOURCE_DATE_EPOCH give the same bytes. The texts of
// licenses come from the module cache, where the build has put them.
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	notices := flag.String("notices", "", "file to write the licenses to")
	version := flag.String("version", "", "the program's version, where its build information does not know it")
	with := flag.String("with", "", "purl of a library that no module stands for, such as pkg:github/duckdb/duckdb@v1.5.0")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom [--version V] [--with PURL] [--notices FILE] PROGRAM")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *version, *with, *notices); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program, version, with, notices string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	if version != "" {
		info.Main.Version = version
	}
	at, err := sourceTime(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	licenses, err := readLicenses(info.Deps)
	if err != nil {
		return err
	}
	if notices != "" {
		if err := writeNotices(notices, licenses); err != nil {
			return err
		}
	}
	b := newBill(info, at, licenses)
	if with != "" {
		if err := b.add(with); err != nil {
			return err
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(b)
}
