package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// answered says what an answer of the server's means.
func (c *Client) answered(op string, l Location, api smithy.APIError, err error) (text, hint string, meaning error) {
	code, status := api.ErrorCode(), statusOf(err)
	text = api.ErrorMessage()
	switch {
	case text == "" || text == code:
		text = code
	default:
		text = strings.TrimRight(text, ".") + " (" + code + ")"
	}
	switch {
	case code == "NoSuchBucket":
		return "there is no bucket " + l.Bucket, "make it, or mend its name" + c.atEndpoint(), ErrNotExist
	case code == "NoSuchKey":
		return ErrNotExist.Error(), "", ErrNotExist
	case code == "NotFound": // an answer without a body
		return ErrNotExist.Error() + ", or no such bucket", "", ErrNotExist
	case status == http.StatusPreconditionFailed || code == "PreconditionFailed" || code == "ConditionalRequestConflict":
		return ErrConflict.Error(), "", ErrConflict
	case code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" || status == http.StatusMovedPermanently:
		text, hint = c.elsewhere(l, text, err)
		return text, hint, nil
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" || code == "ExpiredToken" || code == "InvalidSecurity" || code == "XAdminUserNotFound":
		return text, "the keys are wrong or too old: look at access_key_id and secret_access_key of the s3 block, or at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_PROFILE" + c.atEndpoint(), nil
	case code == "RequestTimeTooSkewed":
		return text, "set the clock of this machine", nil
	case status == http.StatusForbidden && code != "AccessDenied": // an answer without a body, which says no more
		return "access denied (" + code + ")", "the keys may be wrong: look at access_key_id and secret_access_key of the s3 block, or at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_PROFILE; if they are right, allow " + permission(op) + " to them in the policy of the bucket or user" + c.atEndpoint(), nil
	case status == http.StatusForbidden:
		return "access denied (" + code + ")", "allow " + permission(op) + " to these keys in the policy of the bucket or user, or use other keys", nil
	case code == "SlowDown" || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return text, "the server is overloaded: lower concurrency or raise max_attempts in the s3 block", nil
	case status == http.StatusNotImplemented || code == "NotImplemented":
		return text, "the server lacks this part of the protocol: rpipe doctor --s3 " + l.String() + " shows what it can do", nil
	case refusesChecksums(err):
		return text, "the server does not take checksums: set checksum: none in the s3 block", nil
	}
	return text, "", nil
}

// elsewhere names the region where the bucket is.
func (c *Client) elsewhere(l Location, text string, err error) (what, hint string) {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
			return "bucket " + l.Bucket + " is in region " + region, "set region: " + region + " in the s3 block, or AWS_REGION"
		}
	}
	return text, "set the bucket's region in the s3 block, or AWS_REGION"
}

// unanswered says why there is no answer.
func (c *Client) unanswered(err error) (text, hint string) {
	var profile config.SharedConfigProfileNotExistError
	var name *net.DNSError
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	var record tls.RecordHeaderError
	var at *url.Error
	inner := err
	if errors.As(err, &at) { // less the URL, which the error names already
		inner = at.Err
	}
	text = inner.Error()
	switch {
	case errors.As(err, &profile):
		return fmt.Sprintf("there is no profile %q", profile.Profile), "look at profile in the s3 block, at AWS_PROFILE, and at ~/.aws/config"
	case strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "no EC2 IMDS role found"):
		return "there are no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or access_key_id and secret_access_key in the s3 block"
	case errors.Is(err, syscall.ECONNREFUSED):
		return text, "nothing listens there" + c.atEndpoint()
	case errors.As(err, &name):
		return text, "the name of the server is not known" + c.atEndpoint() + c.styleHint()
	case errors.As(err, &unknown) || errors.As(err, &certificate):
		return text, "give the server's certificate authority in AWS_CA_BUNDLE"
	case errors.As(err, &record) || strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS", "write http:// in the endpoint"
	case errors.As(err, &timeout) && timeout.Timeout():
		return text, "the server does not answer in time" + c.atEndpoint()
	}
	return text, ""
}

// atEndpoint says where requests go, where that was set.
func (c *Client) atEndpoint() string {
	if c.config.Endpoint != "" {
		return "; endpoint is " + c.config.Endpoint
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil && c.api.Options().BaseEndpoint != nil {
		return "; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is set"
	}
	return ""
}

func (c *Client) styleHint() string {
	if c.config.PathStyle == "off" {
		return "; path_style: on asks the server itself, not a name that begins with the bucket"
	}
	return ""
}

// permission is what an operation of ours needs in a policy.
func permission(op string) string {
	verb, what, _ := strings.Cut(op, " ")
	switch verb {
	case "list":
		if strings.HasPrefix(what, "uploads") {
			return "s3:ListBucketMultipartUploads"
		}
		return "s3:ListBucket"
	case "look", "read":
		return "s3:GetObject (and s3:ListBucket)"
	case "delete":
		return "s3:DeleteObject"
	case "abort":
		return "s3:AbortMultipartUpload"
	}
	return "s3:PutObject"
}

func statusOf(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
