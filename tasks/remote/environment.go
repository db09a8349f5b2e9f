package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Ready makes sure that the server has an environment, with the sources as they are now,
// and returns the name under which it does, with its version.
func (p *Pool) Ready(ctx context.Context, env *rpool.Environment) (name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name, ok := p.environments[env]; ok {
		return name, nil
	}
	doc, err := p.environment(env)
	if err != nil {
		return "", err
	}
	name, err = nameOf(doc)
	if err != nil {
		return "", err
	}
	// Setting what is there already changes nothing, and says so where another owner has
	// made something else of this name. Nobody can change the version that comes back.
	made, err := p.o.Client.SetEnvironment(ctx, name, doc)
	if err != nil {
		return "", fmt.Errorf("environment %s of the task server: %w", name, err)
	}
	name = fmt.Sprintf("%s@%d", name, made.Version)
	p.environments[env] = name
	return name, nil
}

// environment is what of env goes to other machines.
func (p *Pool) environment(env *rpool.Environment) (*api.Environment, error) {
	doc := &api.Environment{Packages: env.Packages, Setup: env.Setup, Options: env.Options, Dir: p.o.Dir}
	for _, path := range env.Sources {
		if !filepath.IsAbs(path) {
			path = filepath.Join(env.Dir, path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("source for the workers: %w", err)
		}
		doc.Sources = append(doc.Sources, api.Source{Name: filepath.Base(path), Text: string(text)})
	}
	for _, variable := range env.Env {
		key, value, _ := strings.Cut(variable, "=")
		if doc.Env == nil {
			doc.Env = map[string]string{}
		}
		doc.Env[key] = value
	}
	return doc, nil
}

// nameOf names an environment by its content, so that the same files are one environment
// for all runs, and changed ones another.
func nameOf(doc *api.Environment) (string, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return "pipeline-" + hex.EncodeToString(sum[:16]), nil
}
