package webapi

import (
	"net/url"

	"github.com/rpipe-dev/rpipe/configs"
)

// Auth is how requests prove whose they are: one of its ways.
type Auth struct {
	Bearer configs.Secret `yaml:"bearer" doc:"A token, sent as Authorization: Bearer." example:"${TOKEN}"`
	Basic  *BasicAuth     `yaml:"basic" doc:"A name and a password."`
	APIKey *APIKey        `yaml:"api_key" doc:"A key in a header or in the query."`
	OAuth2 *OAuth2        `yaml:"oauth2" doc:"OAuth 2.0 with client credentials: the token is fetched, shared by all requests, and renewed before it expires and after a 401."`
}

// BasicAuth is a name and a password (RFC 7617).
type BasicAuth struct {
	User     string         `yaml:"user" required:"true" doc:"The name."`
	Password configs.Secret `yaml:"password" doc:"The password."`
}

// APIKey is a key in a header or in the query.
type APIKey struct {
	Name  string         `yaml:"name" required:"true" doc:"Name of the header or of the query's parameter." example:"X-Api-Key"`
	In    string         `yaml:"in" default:"header" enum:"header|query" doc:"Where the key stands. In the query it may end up in the logs of servers and proxies."`
	Value configs.Secret `yaml:"value" required:"true" doc:"The key." example:"${API_KEY}"`
}

// OAuth2 is the client credentials grant (RFC 6749, section 4.4).
type OAuth2 struct {
	TokenURL     string         `yaml:"token_url" required:"true" doc:"Where tokens are given out." example:"https://login.example.com/oauth/token"`
	ClientID     string         `yaml:"client_id" required:"true" doc:"The client's name."`
	ClientSecret configs.Secret `yaml:"client_secret" required:"true" doc:"The client's secret." example:"${CLIENT_SECRET}"`
	Scopes       []string       `yaml:"scopes" scalar:"true" doc:"What the token shall allow."`
	Params       configs.Pairs  `yaml:"params" doc:"Further parameters of the request for a token." example:"{audience: https://api.example.com}"`
}

// Check implements configs.Checker.
func (a *Auth) Check(report func(field, message, hint string)) {
	ways := 0
	for _, given := range []bool{a.Bearer != "", a.Basic != nil, a.APIKey != nil, a.OAuth2 != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		report("", "must have one of bearer, basic, api_key and oauth2", "")
	}
	if !validHeaderValue(string(a.Bearer)) {
		report("bearer", "has characters that a header must not have, such as a line break", "")
	}
}

// Check implements configs.Checker.
func (k *APIKey) Check(report func(field, message, hint string)) {
	if k.In != "header" {
		return
	}
	if !validHeaderName(k.Name) {
		report("name", "is no name of a header", "")
	}
	if !validHeaderValue(string(k.Value)) {
		report("value", "has characters that a header must not have, such as a line break", "")
	}
}

// Check implements configs.Checker.
func (o *OAuth2) Check(report func(field, message, hint string)) {
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		report("token_url", "is no URL", "such as https://login.example.com/oauth/token")
	}
}

// identity is what tells answers to one user from those to another. It is
// hashed before anything is kept of it.
func (a *Auth) identity() []string {
	switch {
	case a == nil:
		return nil
	case a.Basic != nil:
		return []string{"basic", a.Basic.User, string(a.Basic.Password)}
	case a.APIKey != nil:
		return []string{"api_key", a.APIKey.In, a.APIKey.Name, string(a.APIKey.Value)}
	case a.OAuth2 != nil:
		o := a.OAuth2
		id := append([]string{"oauth2", o.TokenURL, o.ClientID}, o.Scopes...)
		for _, p := range o.Params {
			id = append(id, p.Name, p.Value)
		}
		return id
	}
	return []string{"bearer", string(a.Bearer)}
}

// secrets are the texts that must not be told.
func (a *Auth) secrets() []string {
	var all []string
	if a == nil {
		return nil
	}
	all = append(all, string(a.Bearer))
	if a.Basic != nil {
		all = append(all, string(a.Basic.Password))
	}
	if a.APIKey != nil {
		all = append(all, string(a.APIKey.Value))
	}
	if a.OAuth2 != nil {
		all = append(all, string(a.OAuth2.ClientSecret))
	}
	return all
}
