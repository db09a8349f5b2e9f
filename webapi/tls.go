package webapi

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// TLS says which certificates are believed, and which are shown.
type TLS struct {
	CAFile             string `yaml:"ca_file" doc:"PEM file of the authorities to trust instead of the system's."`
	CertFile           string `yaml:"cert_file" doc:"PEM file of the certificate that the client shows, with those between it and its authority."`
	KeyFile            string `yaml:"key_file" doc:"PEM file of the certificate's private key."`
	ServerName         string `yaml:"server_name" doc:"The name that the server's certificate must have, where it is not the URL's."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" default:"false" doc:"Believe any certificate. For tests alone."`
}

// Check implements configs.Checker.
func (c *TLS) Check(report func(field, message, hint string)) {
	if (c.CertFile == "") != (c.KeyFile == "") {
		report("", "has one of cert_file and key_file, and needs both or none", "")
	}
}

// load reads the files, whose relative paths start at dir.
func (c *TLS) load(dir string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify}
	at := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(at(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s has no certificate in PEM", c.CAFile)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(at(c.CertFile), at(c.KeyFile))
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}
