package store

import (
	"net/url"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Config is the s3 block of a file. What is left zero has its default.
type Config struct {
	Endpoint        string           `yaml:"endpoint" doc:"Address of a server that speaks S3, such as http://127.0.0.1:9000. Without it AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL are looked at, then AWS itself is used." example:"http://127.0.0.1:9000"`
	Region          string           `yaml:"region" doc:"Region of the buckets. Without it AWS_REGION and the shared configuration files are looked at."`
	Profile         string           `yaml:"profile" doc:"Profile of the shared configuration files."`
	PathStyle       string           `yaml:"path_style" default:"auto" enum:"auto|on|off" doc:"Whether the bucket stands in the path and not in the host name. auto is on where an endpoint is set."`
	AccessKeyID     configs.Secret   `yaml:"access_key_id" doc:"Without it the usual chain is asked: environment, shared files, container and instance roles."`
	SecretAccessKey configs.Secret   `yaml:"secret_access_key" doc:"Belongs to access_key_id."`
	SessionToken    configs.Secret   `yaml:"session_token" doc:"Belongs to access_key_id, where the credentials are temporary."`
	Checksum        string           `yaml:"checksum" default:"auto" enum:"auto|crc32|none" doc:"Checksums that go with uploads. auto sends CRC32 and does without where the server refuses them."`
	PartSize        configs.Size     `yaml:"part_size" default:"8MiB" min:"5242880" doc:"Size of the parts of an upload; it grows for objects of more than 4,500 parts."`
	Concurrency     int              `yaml:"concurrency" default:"3" min:"1" max:"64" doc:"Parts of one object that are sent at once."`
	MaxAttempts     int              `yaml:"max_attempts" default:"5" min:"1" doc:"How often a request is tried that fails by the network or on the server's side."`
	Lease           configs.Duration `yaml:"lease" default:"1m" min:"5s" doc:"After how long without a sign of life a run that writes to S3 counts as dead, so that another may take its place."`
}

// Check implements configs.Checker.
func (c Config) Check(report func(field, message, hint string)) {
	switch {
	case c.AccessKeyID != "" && c.SecretAccessKey == "":
		report("access_key_id", "needs secret_access_key", "keys come together; leave both out to use the usual chain of credentials")
	case c.AccessKeyID == "" && c.SecretAccessKey != "":
		report("secret_access_key", "needs access_key_id", "keys come together; leave both out to use the usual chain of credentials")
	case c.AccessKeyID == "" && c.SessionToken != "":
		report("session_token", "needs access_key_id and secret_access_key", "")
	}
	if c.AccessKeyID != "" && c.Profile != "" {
		report("profile", "cannot stand beside access_key_id", "a profile has keys of its own: give one of the two")
	}
	if message := wrongEndpoint(c.Endpoint); message != "" {
		report("endpoint", message, "write the address of the server alone, such as http://127.0.0.1:9000")
	}
}

// wrongEndpoint says what is wrong with an endpoint; "" where nothing is. The
// address itself is not told: it may hold a password.
func wrongEndpoint(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return "is not a URL of http or https"
	case u.User != nil:
		return "must not hold keys: they belong into access_key_id and secret_access_key"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not have a query"
	}
	return ""
}

// withDefaults fills in what a Config has that did not come out of a file.
func (c Config) withDefaults() Config {
	if c.PathStyle == "" {
		c.PathStyle = "auto"
	}
	if c.Checksum == "" {
		c.Checksum = "auto"
	}
	if c.PartSize == 0 {
		c.PartSize = 8 << 20
	}
	if c.Concurrency == 0 {
		c.Concurrency = 3
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 5
	}
	if c.Lease == 0 {
		c.Lease = configs.Duration(time.Minute)
	}
	return c
}
