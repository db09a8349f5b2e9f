package store

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

const scheme = "s3://"

// Location is an object, or a prefix of objects.
type Location struct{ Bucket, Key string }

// Object is one that was found.
type Object struct {
	Location
	Size     int64
	ETag     string // in quotes, as the server gives it
	Modified time.Time
}

// IsURL reports whether a path names objects: s3://bucket/key.
func IsURL(path string) bool { return strings.HasPrefix(path, scheme) }

// bucketName is wider than what AWS allows today: old buckets have capitals and
// underscores, and other servers more. It keeps ports, passwords and queries out.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Parse takes s3://bucket/key apart. The key may be empty, is not unescaped, and
// may hold any character.
func Parse(path string) (Location, error) {
	rest, ok := strings.CutPrefix(path, scheme)
	if !ok {
		return Location{}, fmt.Errorf("%q is not an address on S3: write s3://bucket/key", path)
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if !bucketName.MatchString(bucket) {
		return Location{}, fmt.Errorf("%q has no name of a bucket after s3://: write s3://bucket/key; the server's address belongs into the s3 block, under endpoint", path)
	}
	return Location{Bucket: bucket, Key: key}, nil
}

// String is the location as a URL.
func (l Location) String() string { return scheme + l.Bucket + "/" + l.Key }

// Join is the location of a slash-separated relative path below l. Nothing is
// cleaned: "..", "." and "//" are names like others on S3.
func (l Location) Join(rel string) Location {
	if rel == "" {
		return l
	}
	if l.Key != "" && !strings.HasSuffix(l.Key, "/") {
		l.Key += "/"
	}
	l.Key += rel
	return l
}
