package webapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// renewBefore is how long before its end a token is replaced: requests that
// have just been signed must still arrive in time.
const renewBefore = 30 * time.Second

// tokens are the access tokens of one client, one after the other.
type tokens struct {
	config clientcredentials.Config
	client *http.Client  // for the requests of tokens
	busy   chan struct{} // holds a value while somebody looks at current
	// current is what requests are signed with; it and renewAt are guarded by busy.
	current *oauth2.Token
	renewAt time.Time // zero: the token has no end
}

func newTokens(c *OAuth2, client *http.Client) *tokens {
	params := url.Values{}
	for _, p := range c.Params {
		params.Add(p.Name, p.Value)
	}
	return &tokens{
		config: clientcredentials.Config{
			ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), TokenURL: c.TokenURL,
			Scopes: c.Scopes, EndpointParams: params,
		},
		client: client, busy: make(chan struct{}, 1),
	}
}

// get returns a token other than stale that is good for some time. Those who
// ask at once wait for one request.
func (t *tokens) get(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	select {
	case t.busy <- struct{}{}:
		defer func() { <-t.busy }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	now := time.Now()
	if t.current != nil && t.current != stale && (t.renewAt.IsZero() || now.Before(t.renewAt)) {
		return t.current, nil
	}
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return nil, t.failure(ctx, err)
	}
	t.current, t.renewAt = token, time.Time{}
	if !token.Expiry.IsZero() {
		life := token.Expiry.Sub(now)
		t.renewAt = token.Expiry.Add(-min(renewBefore, life/4)) // short ones are used as well
	}
	return token, nil
}

// failure is what went wrong with a request for a token.
func (t *tokens) failure(ctx context.Context, err error) error {
	e := &Error{Method: http.MethodPost, URL: Redact(t.config.TokenURL), Tries: 1, Class: Temporary, unsent: true}
	var refused *oauth2.RetrieveError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &refused) && refused.Response != nil:
		e.Status, e.excerpt = refused.Response.StatusCode, excerpt(refused.Body)
		if e.Status < 500 && e.Status != http.StatusTooManyRequests {
			e.Class = Fatal
		}
		e.Err = errors.New("no token was given out")
		if refused.ErrorCode != "" {
			e.Err = errors.New("no token was given out: " + refused.ErrorCode)
		}
	default:
		e.Class, e.Err = cause(err)
	}
	return e
}
