package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/store"
)

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	f := func(c store.Config, want string) {
		t.Helper()
		var got []string
		c.Check(func(field, message, hint string) { got = append(got, field+" "+message) })
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%+v: %q, want %q", c, s, want)
		}
	}
	f(store.Config{}, "")
	f(store.Config{Endpoint: "http://127.0.0.1:9000", AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c"}, "")
	f(store.Config{Endpoint: "https://s3.example.com/sub", Profile: "p"}, "")
	f(store.Config{AccessKeyID: "a"}, "access_key_id needs secret_access_key")
	f(store.Config{SecretAccessKey: "a"}, "secret_access_key needs access_key_id")
	f(store.Config{SessionToken: "a"}, "session_token needs access_key_id and secret_access_key")
	f(store.Config{AccessKeyID: "a", SecretAccessKey: "b", Profile: "p"}, "profile cannot stand beside access_key_id")
	for _, wrong := range []string{"127.0.0.1:9000", "s3.example.com", "ftp://x", "http://", "http://a b"} {
		f(store.Config{Endpoint: wrong}, "endpoint is not a URL of http or https")
	}
	f(store.Config{Endpoint: "http://key:secret@host"}, "endpoint must not hold keys: they belong into access_key_id and secret_access_key")
	f(store.Config{Endpoint: "http://host?x=1"}, "endpoint must not have a query")
}

func TestSecretsOfAConfigAreNotPrinted(t *testing.T) {
	c := store.New(store.Config{AccessKeyID: "AKIDSECRET", SecretAccessKey: "KEYSECRET", SessionToken: "TOKENSECRET"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c.Config()); strings.Contains(text, "SECRET") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestParse(t *testing.T) {
	f := func(path string, want store.Location) {
		t.Helper()
		if got, err := store.Parse(path); err != nil || got != want || got.String() != path {
			t.Errorf("%q is %+v, %v", path, got, err)
		}
	}
	f("s3://bucket/", store.Location{Bucket: "bucket"})
	f("s3://bucket/a/b.csv", store.Location{Bucket: "bucket", Key: "a/b.csv"})
	f("s3://my.old_Bucket-1//a%20b?c#d", store.Location{Bucket: "my.old_Bucket-1", Key: "/a%20b?c#d"})
	if got, err := store.Parse("s3://bucket"); err != nil || got != (store.Location{Bucket: "bucket"}) {
		t.Errorf("%+v %v", got, err)
	}
	for _, wrong := range []string{"", "bucket/key", "s3:/bucket", "s3://", "s3:///key", "s3://key:secret@bucket/x", "s3://host:9000/b/k", "s3://a b/k", "S3://b/k"} {
		if l, err := store.Parse(wrong); err == nil || !strings.Contains(err.Error(), "s3://bucket/key") {
			t.Errorf("%q is taken as %+v, %v", wrong, l, err)
		}
	}
	if !store.IsURL("s3://b") || store.IsURL("s3/b") || store.IsURL("http://b") {
		t.Error("IsURL")
	}
}

func TestJoin(t *testing.T) {
	f := func(key, rel, want string) {
		t.Helper()
		if got := (store.Location{Bucket: "b", Key: key}).Join(rel); got.Key != want || got.Bucket != "b" {
			t.Errorf("%q and %q give %+v", key, rel, got)
		}
	}
	f("", "a/b", "a/b")
	f("out", "a/b", "out/a/b")
	f("out/", "a/b", "out/a/b")
	f("out", "", "out")
	f("out", "../a", "out/../a")
}
