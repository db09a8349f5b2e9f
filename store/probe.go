package store

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
)

// ProbeName begins the names of the objects by which Probe asks. One that is older
// than a minute or two is of a process that was killed.
const ProbeName = ".rpipe-probe-"

// Probe finds out, with small objects below l that it removes again, which
// conditions the server honours. An error says that l cannot be written to.
func (c *Client) Probe(ctx context.Context, l Location) (found Conditions, err error) {
	at := l.Join(ProbeName + rand.Text())
	etag, err := c.Put(ctx, at, []byte("a first object"), Condition{})
	if err != nil {
		return Conditions{}, err
	}
	defer func() { err = errors.Join(err, c.Delete(context.WithoutCancel(ctx), at)) }()
	if found.Put, err = c.probePut(ctx, at, etag); err != nil {
		return Conditions{}, err
	}
	if found.Complete, err = c.probeComplete(ctx, at); err != nil {
		return Conditions{}, err
	}
	return found, nil
}

// probePut tries conditions on an object that is there.
func (c *Client) probePut(ctx context.Context, at Location, etag string) (bool, error) {
	for _, wrong := range []Condition{{IfNoneMatch: true}, {IfMatch: `"00000000000000000000000000000000"`}} {
		_, err := c.Put(ctx, at, []byte("must not be written"), wrong)
		if holds, err := refused(err); err != nil || !holds {
			return false, err
		}
	}
	_, err := c.Put(ctx, at, []byte("a second object"), Condition{IfMatch: etag})
	if lacks(err) || errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// probeComplete tries to complete an upload where an object is.
func (c *Client) probeComplete(ctx context.Context, at Location) (holds bool, err error) {
	u, err := c.Upload(ctx, at, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, u.Abort(context.WithoutCancel(ctx))) }()
	data := []byte("must not be completed")
	if _, err := u.Write(data); err != nil {
		return false, err
	}
	p, err := u.Close()
	if err != nil {
		return false, err
	}
	return refused(c.Complete(ctx, at, p, int64(len(data)), false))
}

// refused reports whether a request that had to be refused was refused for its
// condition.
func refused(err error) (bool, error) {
	switch {
	case err == nil || lacks(err):
		return false, nil
	case errors.Is(err, ErrConflict):
		return true, nil
	}
	return false, err
}

// lacks reports whether the server does not know what it was asked for.
func lacks(err error) bool {
	return err != nil && (statusOf(err) == http.StatusNotImplemented || codeOf(err) == "NotImplemented")
}
