package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tokens"
)

// Bind listens on the address of its own that c names. Elsewhere than on loopback
// it wants a token that may read: nobody else could see anything there.
func (c *Config) Bind(ctx context.Context, store *tokens.Store) (net.Listener, error) {
	if !exchange.Loopback(c.Listen) {
		usable := false
		if store != nil {
			var err error
			if usable, err = store.Usable(tokens.Read); err != nil {
				return nil, fmt.Errorf("admin: listen on %s: %w", c.Listen, err)
			}
		}
		if !usable {
			where := ""
			if store != nil {
				where = " --store " + store.Path()
			}
			return nil, fmt.Errorf("admin: listen on %s: other machines reach it, and no token lets anybody in: make one with rpipe token create%s --owner NAME --scope read, or listen on 127.0.0.1", c.Listen, where)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return l, nil
}

// Serve answers on a listener until ctx ends; it closes it. Paths outside Prefix
// are not found there.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           a.Before(http.NotFoundHandler()),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		enough, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(enough) != nil {
			s.Close()
		}
		ended <- nil
	})
	err := s.Serve(l)
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admin: %w", err)
}
