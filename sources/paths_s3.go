package sources

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// matchObjects is matchLocal on S3. A key is first an object; where there is
// none, or the key ends in a slash, it is the prefix of a directory.
func (s *search) matchObjects(ctx context.Context, env *stages.Env, pattern string) ([]file, error) {
	if env.S3 == nil {
		return nil, fmt.Errorf("read %s: there is no S3 here", pattern)
	}
	at, err := store.Parse(pattern)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	if at.Key != "" && !strings.HasSuffix(at.Key, "/") {
		o, err := env.S3.Stat(ctx, at)
		if err == nil {
			return []file{{opener: object{env.S3, o}, name: pattern, size: o.Size}}, nil
		}
		if !errors.Is(err, store.ErrNotExist) {
			return nil, err
		}
	}
	if isGlob(at.Key) {
		g, err := parseGlob(at.Key)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", pattern, err)
		}
		return s.glob(ctx, pattern, g, &root{place: prefix{env.S3, store.Location{Bucket: at.Bucket, Key: g.top}}})
	}
	if at.Key != "" && !strings.HasSuffix(at.Key, "/") {
		at.Key += "/"
	}
	p := prefix{env.S3, at}
	there, err := p.names(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(there) == 0 {
		return nil, p.missing(ctx, pattern)
	}
	return s.directory(ctx, env, pattern, &root{place: p})
}

// prefix is a directory on S3: what the keys begin with, up to and with a slash.
type prefix struct {
	client *store.Client
	at     store.Location
}

// names are the first segments of up to most keys below it.
func (p prefix) names(ctx context.Context, most int) (names []string, err error) {
	for o, err := range p.client.List(ctx, p.at) {
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(o.Key[len(p.at.Key):], "/")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		if most--; most == 0 {
			break
		}
	}
	return names, nil
}

// missing says that nothing is there, and what is near.
func (p prefix) missing(ctx context.Context, pattern string) error {
	key := strings.TrimSuffix(p.at.Key, "/")
	name := path.Base(key)
	p.at.Key = strings.TrimSuffix(key, name)
	hint := ""
	if names, err := p.names(ctx, 1000); err == nil {
		if near := nearest(name, names); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, ", ") + "?"
		}
	}
	return fmt.Errorf("read %s: there is no such object, and none below it%s", pattern, hint)
}

func (p prefix) walk(ctx context.Context, literal string, want func(rel string) bool) ([]file, error) {
	var files []file
	for o, err := range p.client.List(ctx, store.Location{Bucket: p.at.Bucket, Key: p.at.Key + literal}) {
		if err != nil {
			return nil, err
		}
		rel := o.Key[len(p.at.Key):]
		if strings.HasSuffix(o.Key, "/") || hiddenKey(rel) || !want(rel) { // a slash at the end: a directory, as consoles make them
			continue
		}
		files = append(files, file{opener: object{p.client, o}, name: o.Location.String(), size: o.Size, rel: rel})
	}
	return files, nil
}

func hiddenKey(rel string) bool {
	segments := strings.Split(rel, "/")
	for i, s := range segments {
		if hidden(s, i < len(segments)-1) {
			return true
		}
	}
	return false
}

func (p prefix) read(ctx context.Context, name string) ([]byte, error) {
	b, _, err := p.client.Get(ctx, store.Location{Bucket: p.at.Bucket, Key: p.at.Key + name}, maxManifest)
	if errors.Is(err, store.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
