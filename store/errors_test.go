package store_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// barren takes from the environment whatever the chain of credentials looks at.
func barren(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("AWS_CONFIG_FILE", home+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", home+"/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// says fails unless an error tells all of it, in one line and without secrets.
func says(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	for _, not := range []string{"\n", "rpipe-test-secret", "RequestID", "operation error"} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("error %q has %q in it", err, not)
		}
	}
}

func TestErrorsOfTheServerSayHowToMendThem(t *testing.T) {
	s := s3test.Start(t)
	barren(t)
	bucket := s.Bucket(t)
	stat := func(config store.Config, l store.Location) error {
		_, err := hurried(t, config).Stat(t.Context(), l)
		return err
	}
	put := func(config store.Config, l store.Location) error {
		_, err := hurried(t, config).Put(t.Context(), l, []byte("x"), store.Condition{})
		return err
	}
	here := store.Location{Bucket: bucket, Key: "k"}

	says(t, stat(s.Config(), here), "look at s3://"+bucket+"/k: no such object")
	says(t, put(s.Config(), store.Location{Bucket: "no-such-bucket", Key: "k"}), "there is no bucket no-such-bucket", "make it", s.Endpoint)

	config := s.Config()
	config.SecretAccessKey = "wrong"
	says(t, put(config, here), "SignatureDoesNotMatch", "secret_access_key of the s3 block")
	config = s.Config()
	config.AccessKeyID = "nobody"
	says(t, put(config, here), "No user exists", "access_key_id")

	config = s.Config()
	config.AccessKeyID, config.SecretAccessKey = "", ""
	says(t, put(config, here), "write s3://"+bucket+"/k: there are no credentials", "AWS_ACCESS_KEY_ID", "access_key_id")
	config.Profile = "nowhere"
	says(t, put(config, here), `there is no profile "nowhere"`, "AWS_PROFILE")
}

func TestErrorsOfTheNetworkSayHowToMendThem(t *testing.T) {
	barren(t)
	f := func(endpoint string, want ...string) {
		t.Helper()
		config := store.Config{Endpoint: endpoint, AccessKeyID: "a", SecretAccessKey: "rpipe-test-secret", MaxAttempts: 2}
		_, err := hurried(t, config).Put(t.Context(), store.Location{Bucket: "b", Key: "k"}, nil, store.Condition{})
		says(t, err, append(want, "write s3://b/k: ")...)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	f("http://127.0.0.1:1", "connection refused", "after 2 attempts", "nothing listens there", "endpoint is http://127.0.0.1:1")
	f("http://name.invalid", "the name of the server is not known")
	f(strings.Replace(plain.URL, "http", "https", 1), "does not speak TLS", "write http:// in the endpoint")
	f(secure.URL, "certificate", "AWS_CA_BUNDLE")
}

func TestAnswersSayHowToMendThem(t *testing.T) {
	f := func(status int, code, message string, header http.Header, want ...string) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(status)
			io.WriteString(w, "<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>")
		}))
		defer server.Close()
		c := hurried(t, store.Config{Endpoint: server.URL, AccessKeyID: "a", SecretAccessKey: "b", MaxAttempts: 2})
		defer c.Close()
		for _, err := range c.List(t.Context(), store.Location{Bucket: "b", Key: "p"}) {
			says(t, err, append(want, "list s3://b/p: ")...)
		}
	}
	f(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.",
		http.Header{"X-Amz-Bucket-Region": {"eu-west-1"}}, "bucket b is in region eu-west-1", "set region: eu-west-1")
	f(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-3'", nil, "expecting 'eu-west-3'", "set the bucket's region")
	f(403, "AccessDenied", "Access Denied", nil, "access denied", "allow s3:ListBucket")
	f(403, "RequestTimeTooSkewed", "The difference is too large.", nil, "set the clock")
	f(400, "ExpiredToken", "The provided token has expired.", nil, "The provided token has expired (ExpiredToken)", "AWS_SESSION_TOKEN")
	f(503, "SlowDown", "Please reduce your request rate.", nil, "after 2 attempts", "lower concurrency")
	f(501, "NotImplemented", "No.", nil, "rpipe doctor --s3")
}

func TestACancelledRequestIsAnErrorOfItsContext(t *testing.T) {
	s := s3test.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		cancel()
		<-r.Context().Done()
	}))
	l := store.Location{Bucket: "b", Key: "k"}
	if _, err := c.Stat(ctx, l); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	late, cancel2 := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel2()
	if _, err := c.Stat(late, l); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// An answer to HEAD has no body, and so does not say whether the keys are wrong or
// may not do it.
func TestARefusalWithoutABodyNamesBothCauses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer server.Close()
	c := hurried(t, store.Config{Endpoint: server.URL, AccessKeyID: "a", SecretAccessKey: "b", MaxAttempts: 2})
	defer c.Close()
	_, err := c.Stat(t.Context(), store.Location{Bucket: "b", Key: "k"})
	says(t, err, "access denied", "the keys may be wrong", "secret_access_key", "allow s3:GetObject")
}
