package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// Cluster is what a server and the workers elsewhere know each other by: an id, a
// certificate authority of its own, and a key (NKey) for each role.
type Cluster struct {
	ID     string
	ca     []byte // PEM
	cert   tls.Certificate
	seeds  map[role][]byte
	public map[role]string
}

// role of a connection: what it may do, see users.
type role string

const (
	roleServe  role = "serve"
	roleWorker role = "worker"
)

// OpenCluster reads the cluster's files below dir/nats, and makes those that are
// missing: id, ca.pem, ca.key, server.pem, server.key, serve.nk, worker.nk. All are for
// their owner only. A key is replaced by removing its file.
func OpenCluster(dir string) (*Cluster, error) {
	dir = filepath.Join(dir, "nats")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c := &Cluster{seeds: map[role][]byte{}, public: map[role]string{}}
	id, err := fileOr(dir, "id", func() ([]byte, error) {
		b := make([]byte, 8)
		_, err := rand.Read(b)
		return []byte(hex.EncodeToString(b)), err
	})
	if err != nil {
		return nil, err
	}
	c.ID = strings.TrimSpace(string(id))
	for _, r := range []role{roleServe, roleWorker} {
		seed, err := fileOr(dir, string(r)+".nk", newSeed)
		if err != nil {
			return nil, err
		}
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			return nil, fmt.Errorf("cluster: %s: %w", filepath.Join(dir, string(r)+".nk"), err)
		}
		if c.public[r], err = pair.PublicKey(); err != nil {
			return nil, fmt.Errorf("cluster: %s: %w", filepath.Join(dir, string(r)+".nk"), err)
		}
		c.seeds[r] = seed
	}
	if err := c.certificates(dir); err != nil {
		return nil, fmt.Errorf("cluster: certificates in %s: %w", dir, err)
	}
	return c, nil
}

func newSeed() ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	return pair.Seed()
}

// fileOr reads a file, and writes what make gives where there is none.
func fileOr(dir, name string, create func() ([]byte, error)) ([]byte, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return b, err
	}
	if b, err = create(); err != nil {
		return nil, fmt.Errorf("cluster: make %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	// A key that a power failure has emptied would be refused for good.
	if err := errors.Join(syncPath(path+".new"), os.Rename(path+".new", path), syncPath(dir)); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return b, nil
}

// serverName is what the server's certificate is for, wherever it is reached: so a
// worker that trusts this authority and asks for this name has its own cluster.
func serverName(id string) string { return id + ".rpipe.internal" }

// certificates reads or makes the authority and the server's certificate.
func (c *Cluster) certificates(dir string) error {
	caKey, err := fileOr(dir, "ca.key", newKey)
	if err != nil {
		return err
	}
	c.ca, err = fileOr(dir, "ca.pem", func() ([]byte, error) {
		return sign(&x509.Certificate{
			Subject: pkix.Name{CommonName: "rpipe cluster " + c.ID}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign,
		}, nil, caKey, caKey)
	})
	if err != nil {
		return err
	}
	key, err := fileOr(dir, "server.key", newKey)
	if err != nil {
		return err
	}
	cert, err := fileOr(dir, "server.pem", func() ([]byte, error) {
		return sign(&x509.Certificate{
			Subject:     pkix.Name{CommonName: serverName(c.ID)},
			DNSNames:    []string{serverName(c.ID), "localhost"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
			KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, c.ca, caKey, key)
	})
	if err != nil {
		return err
	}
	c.cert, err = tls.X509KeyPair(cert, key)
	return err
}

func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// sign makes a certificate of key, for 20 years; parent is nil for one that signs itself.
func sign(cert *x509.Certificate, parent, parentKey, key []byte) ([]byte, error) {
	signer, err := readKey(parentKey)
	if err != nil {
		return nil, err
	}
	subject, err := readKey(key)
	if err != nil {
		return nil, err
	}
	if cert.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(20, 0, 0)
	issuer := cert
	if parent != nil {
		block, _ := pem.Decode(parent)
		if block == nil {
			return nil, errors.New("ca.pem holds no certificate")
		}
		if issuer, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, issuer, subject.Public(), signer)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func readKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("a key file holds no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("a key file holds a key of another kind than EC")
	}
	return k, nil
}

func (c *Cluster) serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.cert}, MinVersion: tls.VersionTLS13}
}

// Join is what a worker elsewhere is given: where to connect, whom to trust there, and
// its key. Who has it can run and read tasks of the cluster: keep it as a password.
type Join struct {
	Cluster string   `json:"cluster"`
	URLs    []string `json:"urls"`         // tls://host:port
	CA      []byte   `json:"ca,omitempty"` // PEM; none where the server has a certificate of a public authority
	Seed    string   `json:"seed"`
}

// Join for the servers at urls, such as tls://tasks.example.org:4222. Give publicTLS
// where Options.TLS is set: its certificate is then not this cluster's.
func (c *Cluster) Join(publicTLS bool, urls ...string) *Join {
	j := &Join{Cluster: c.ID, URLs: urls, Seed: string(c.seeds[roleWorker])}
	if !publicTLS {
		j.CA = c.ca
	}
	return j
}

const joinPrefix = "rpipe-join-1:"

// String is the one line that ParseJoin reads.
func (j *Join) String() string {
	b, _ := json.Marshal(j) // strings and bytes only: it cannot fail
	return joinPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseJoin reads what Join.String wrote, from the text or from the file of that name.
func ParseJoin(s string) (*Join, error) {
	if !strings.HasPrefix(s, joinPrefix) {
		b, err := os.ReadFile(s)
		if err != nil {
			return nil, fmt.Errorf("join: neither the text that rpipe serve gives (it begins with %s) nor a file of it: %w", joinPrefix, err)
		}
		s = strings.TrimSpace(string(b))
	}
	text, ok := strings.CutPrefix(s, joinPrefix)
	b, err := base64.RawURLEncoding.DecodeString(text)
	j := &Join{}
	if err == nil {
		err = json.Unmarshal(b, j)
	}
	if !ok || err != nil || j.Cluster == "" || len(j.URLs) == 0 || j.Seed == "" {
		return nil, errors.New("join: the text is damaged or cut off: copy it anew from rpipe serve")
	}
	return j, nil
}

// tls is how a worker that joins makes sure of the server.
func (j *Join) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(j.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(j.CA) {
			return nil, errors.New("join: it holds no certificate")
		}
		c.ServerName = serverName(j.Cluster)
	}
	return c, nil
}
