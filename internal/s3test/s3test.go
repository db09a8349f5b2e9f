// Package s3test gives tests a real S3 server: Versity's gateway over a
// temporary directory, or rclone's server as a second opinion. Both come from
// modules of their own below tools/s3server, are built once into the user's
// cache, and run once for each test binary, whose end they do not outlive.
package s3test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/store"
)

// Server is a server that runs.
type Server struct {
	Endpoint  string // http://127.0.0.1:…
	Dir       string // a directory for each bucket, a plain file for each object
	AccessKey string
	SecretKey string

	log string // what the server had to say
}

var versitygw, rclone sync.Map // "server" → func() (*Server, error)

// Start returns the server of this test binary, which is started at the first
// call. Tests have it in common, and a bucket each.
func Start(t testing.TB) *Server { return start(t, &versitygw, "versitygw") }

// StartRclone is Start with rclone's server. Use it in long tests: it takes
// minutes to build.
func StartRclone(t testing.TB) *Server { return start(t, &rclone, "rclone") }

func start(t testing.TB, running *sync.Map, name string) *Server {
	t.Helper()
	once, _ := running.LoadOrStore("server", sync.OnceValues(func() (*Server, error) { return Launch(name) }))
	s, err := once.(func() (*Server, error))()
	if err != nil {
		t.Fatalf("start %s, the S3 server of the tests: %v", name, err)
	}
	t.Cleanup(func() {
		if said, _ := os.ReadFile(s.log); t.Failed() && len(said) > 0 {
			t.Logf("the S3 server said:\n%s", last(said, 2000))
		}
	})
	return s
}

// Bucket makes a bucket for one test and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name, err := s.MakeBucket()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// MakeBucket is Bucket for who is no test.
func (s *Server) MakeBucket() (string, error) {
	name := "t" + strings.ToLower(rand.Text()[:12])
	_, err := s.sdk().CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name})
	return name, err
}

// Path is where the file of an object is.
func (s *Server) Path(l store.Location) string {
	return filepath.Join(s.Dir, l.Bucket, filepath.FromSlash(l.Key))
}

// Config is what the s3 block of a file would say.
func (s *Server) Config() store.Config {
	return store.Config{
		Endpoint: s.Endpoint, Region: "us-east-1",
		AccessKeyID: configs.Secret(s.AccessKey), SecretAccessKey: configs.Secret(s.SecretKey),
	}
}

// Env is the same for another process.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
	}
}

// Client is a client for one test.
func (s *Server) Client(t testing.TB) *store.Client {
	c := store.New(s.Config())
	t.Cleanup(c.Close)
	return c
}

// OpenUploads is how many uploads of a bucket are neither complete nor aborted.
func (s *Server) OpenUploads(t testing.TB, bucket string) int {
	t.Helper()
	out, err := s.sdk().ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		if strings.Contains(err.Error(), "NoSuchUpload") { // rclone's way to say none
			return 0
		}
		t.Fatal(err)
	}
	return len(out.Uploads)
}

// sdk is a client of the SDK's that leaves no connection behind.
func (s *Server) sdk() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, UsePathStyle: true, Region: "us-east-1",
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}, nil
		}),
	})
}
