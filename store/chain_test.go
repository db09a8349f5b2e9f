package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestWhatTheFileDoesNotSayComesFromTheUsualPlaces(t *testing.T) {
	s := s3test.Start(t)
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	f := func(config store.Config) {
		t.Helper()
		if _, err := hurried(t, config).Put(t.Context(), l, []byte("x"), store.Condition{}); err != nil {
			t.Error(err)
		}
	}
	write := func(name, text string) string {
		path := t.TempDir() + "/" + name
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("environment", func(t *testing.T) {
		barren(t)
		for _, set := range s.Env() {
			name, value, _ := strings.Cut(set, "=")
			t.Setenv(name, value)
		}
		f(store.Config{})
	})
	t.Run("profile", func(t *testing.T) {
		barren(t)
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write("credentials",
			fmt.Sprintf("[tests]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.AccessKey, s.SecretKey)))
		t.Setenv("AWS_CONFIG_FILE", write("config",
			fmt.Sprintf("[profile tests]\nregion = us-east-1\nendpoint_url = %s\n", s.Endpoint)))
		f(store.Config{Profile: "tests"})
		t.Setenv("AWS_PROFILE", "tests")
		f(store.Config{})
	})
	t.Run("the file before the environment", func(t *testing.T) {
		barren(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "wrong")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		t.Setenv("AWS_REGION", "mars-1")
		t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
		f(s.Config())
	})
}

// Names of buckets that stand in the host name cannot be tried without a DNS
// for them: what the server would be asked shows in the error.
func TestPathStyleIsAutomaticWhereAnEndpointIsSet(t *testing.T) {
	barren(t)
	f := func(style, want string) {
		t.Helper()
		c := hurried(t, store.Config{Endpoint: "http://name.invalid", PathStyle: style, AccessKeyID: "a", SecretAccessKey: "b", MaxAttempts: 1})
		_, err := c.Stat(t.Context(), store.Location{Bucket: "bucket", Key: "k"})
		says(t, err, "lookup "+want)
	}
	f("auto", "name.invalid")
	f("on", "name.invalid")
	f("off", "bucket.name.invalid")
}
