package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/stages"
)

// release is set when one is built: -ldflags "-X main.release=v1.2.3".
var release string

// version is that of the release, or what go install knows of the module that it was
// given; "devel" is neither.
var version = versionOf(release, debug.ReadBuildInfo)

func versionOf(release string, info func() (*debug.BuildInfo, bool)) string {
	if release != "" {
		return release
	}
	if i, ok := info(); ok && i.Main.Version != "" && i.Main.Version != "(devel)" {
		return i.Main.Version
	}
	return "devel"
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and how it was built",
		Args:  cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Printf("rpipe %s%s\n", version, revision())
			fmt.Printf("built with %s for %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			fmt.Println("SQL engine: " + stages.SQLVersion())
		},
	}
}

// revision is the commit, where the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			rev = " (" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty + ")"
}
