// Package client asks a task server, rpipe serve, by its REST API. rpipe task, pipelines
// whose map runs on a queue, and launchers are its users.
//
// Start with Find, which takes the server of RPIPE_URL or the one of this user on this
// machine, or with New. What may be asked twice is asked again where the connection
// breaks: reads, and submissions, since the client makes their ids. Who waits for tasks
// waits on while a server is restarted. A Client is safe for concurrent use.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Options say where the server is and how to speak to it.
type Options struct {
	URL     string        // such as http://127.0.0.1:7033
	Token   string        // "" for none, as on loopback
	CA      string        // file with authorities in PEM, beside the system's; "" for none
	Cert    string        // file with a certificate of the client, and Key its key; "" for none
	Key     string        //
	Retries int           // tries after the first where the connection breaks; 0 is 5, -1 none
	Timeout time.Duration // for the head of an answer, waiting requests apart; 0 is a minute
	Log     *slog.Logger  // hears of tries; nil discards
	Agent   string        // User-Agent; "" is rpipe
}

// Client asks one server.
type Client struct {
	options Options
	base    string
	http    *http.Client
	log     *slog.Logger
	pause   time.Duration // before the second try; it doubles
}

// ErrNoServer says that none was found on this machine.
var ErrNoServer = errors.New("no task server is known: start one with rpipe serve, or say where it is with RPIPE_URL")

// New is the client of a server. Nothing is asked yet.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		return nil, ErrNoServer
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Agent == "" {
		o.Agent = "rpipe"
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	switch {
	case o.Retries == 0:
		o.Retries = 5
	case o.Retries < 0:
		o.Retries = 0
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	c := &Client{options: o, log: o.Log, pause: 100 * time.Millisecond, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this server
	}}
	switch {
	case u.Scheme == "unix":
		path := u.Path
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		c.base = strings.TrimSuffix(u.String(), "/")
	default:
		return nil, fmt.Errorf("%q is no address of a server: such as http://127.0.0.1:7033", o.URL)
	}
	if u.User != nil {
		return nil, errors.New("the server's address holds a password: give a token by RPIPE_TOKEN")
	}
	transport.TLSClientConfig, err = o.tls()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// tls is how the server, and the client, are made sure of.
func (o *Options) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("the authority of the server's certificate: %w", err)
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the authority of the server's certificate: %s has no certificate in PEM", o.CA)
		}
	}
	if o.Cert != "" || o.Key != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("the client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Find is the client of the server that o.URL names, or RPIPE_URL with RPIPE_TOKEN and
// RPIPE_CA, or the one that this user runs on this machine.
func Find(o Options) (*Client, error) {
	if o.Token == "" {
		o.Token = os.Getenv("RPIPE_TOKEN")
	}
	if o.CA == "" {
		o.CA = os.Getenv("RPIPE_CA")
	}
	if o.URL == "" {
		o.URL = os.Getenv("RPIPE_URL")
	}
	if o.URL == "" {
		dir, err := api.DataDir()
		if err != nil {
			return nil, err
		}
		local, err := api.ReadLocal(dir)
		if err == nil {
			err = local.Check()
		}
		if errors.Is(err, api.ErrNoLocal) {
			return nil, ErrNoServer
		}
		if err != nil {
			return nil, err
		}
		o.URL = local.URL
	}
	return New(o)
}

// URL is where the server is.
func (c *Client) URL() string { return c.base }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
