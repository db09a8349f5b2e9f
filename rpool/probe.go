package rpool

import (
	"context"
	"errors"
)

// Info is what Probe finds out about an R.
type Info struct {
	R        string            // the binary
	Version  string            // "4.2.2"
	Platform string            // "x86_64-pc-linux-gnu"
	LibPaths []string          // .libPaths()
	Packages map[string]string // version of each package of the environment; "" is not installed
	Forks    bool              // workers are forked
	WhyNot   string            // they are not: why
	Warnings []string          // of R while it started
}

// Probe starts R as a pool would for env, without attaching its packages or
// running its sources, and says what it found. The error, a *StartError, says
// what stands in the way of any pool.
func Probe(ctx context.Context, env *Environment) (Info, error) {
	bare := *env
	bare.Packages, bare.Sources, bare.Setup = nil, nil, ""
	bare.Handler = ""
	bare.Canary, bare.BeforeFork, bare.AfterFork = "", "", ""
	info := Info{Packages: make(map[string]string)}
	bin, version, err := FindR(env.R)
	if err != nil {
		return info, err
	}
	info.R, info.Version = bin, version
	t, l, err := launchAsking(ctx, &bare, &Options{}, env.Packages)
	if err != nil {
		return info, err
	}
	defer t.Close()
	if len(l.versions) != len(env.Packages) {
		return info, errors.New("rpool: probe: R did not answer for every package")
	}
	info.Version, info.Platform, info.LibPaths, info.Warnings = l.version, l.platform, l.libPaths, l.warnings
	for i, name := range env.Packages {
		info.Packages[name] = l.versions[i]
	}
	info.Forks, info.WhyNot = t.Forks()
	return info, nil
}
