package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// httpClient is the SDK's (with its proxy, certificates and timeouts), less its
// trust in connections: one that carries nothing in either direction for as long
// as silence is given up. That must be long: some servers put an upload's parts
// together before the first byte of their answer to a Complete.
func httpClient(found aws.HTTPClient, silence time.Duration) *http.Client {
	built, ok := found.(*awshttp.BuildableClient)
	if !ok {
		built = awshttp.NewBuildableClient()
	}
	transport := built.GetTransport()
	transport.MaxIdleConnsPerHost = 64
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{Conn: conn, silence: silence}, nil
	}
	return &http.Client{Transport: transport, CheckRedirect: redirect}
}

// redirect follows what keeps method and body. A 301 of S3 names no place to go
// to: it says that the region is wrong.
func redirect(r *http.Request, before []*http.Request) error {
	if len(before) > 10 {
		return http.ErrUseLastResponse
	}
	switch r.Response.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return nil
	}
	return http.ErrUseLastResponse
}

// watched fails reads and writes after silence. Writing keeps a waiting read
// alive: the transport always has one, and answers come after the request.
type watched struct {
	net.Conn
	silence time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	w.SetReadDeadline(time.Now().Add(w.silence))
	return w.Conn.Read(p)
}

func (w *watched) Write(p []byte) (int, error) {
	w.SetDeadline(time.Now().Add(w.silence))
	return w.Conn.Write(p)
}

// passes knows failures that pass beyond those the SDK knows.
func passes(err error) aws.Ternary {
	var answer interface{ HTTPStatusCode() int }
	var api smithy.APIError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF): // the answer broke off
		return aws.TrueTernary
	case errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusTooManyRequests:
		return aws.TrueTernary
	case errors.As(err, &api) && (api.ErrorCode() == "ConditionalRequestConflict" || api.ErrorCode() == "OperationAborted"):
		return aws.TrueTernary // two writers at once: the next answer says who was first
	}
	return aws.UnknownTernary
}
