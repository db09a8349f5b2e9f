package webapi

import (
	"net"
	"net/http"
	"time"
)

// newTransport makes what keeps the connections.
func newTransport(c *Config, o Options) (*http.Transport, error) {
	tls, err := c.TLS.load(o.Dir)
	if err != nil {
		return nil, err
	}
	proxy, err := c.proxy()
	if err != nil {
		return nil, err
	}
	idle := c.MaxIdlePerHost
	if idle == 0 {
		idle = max(2, o.AtOnce)
	}
	connect := time.Duration(c.ConnectTimeout)
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:               proxy,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     tls,
		TLSHandshakeTimeout: connect,
		MaxIdleConnsPerHost: idle,
		IdleConnTimeout:     90 * time.Second,
		Protocols:           new(http.Protocols),
		// A connection whose other end is gone without a word is found out by pings.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		MaxResponseHeaderBytes: 1 << 20,
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(c.HTTP2)
	return t, nil
}
