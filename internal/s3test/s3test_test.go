package s3test_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The child starts a server, says where it is, and waits to be killed.
func TestAServerEndsWithTheProcessThatStartedIt(t *testing.T) {
	if os.Getenv("S3TEST_CHILD") != "" {
		s := s3test.Start(t)
		fmt.Printf("server %s %s\n", s.Endpoint, s.Dir)
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "S3TEST_CHILD=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var endpoint, dir string
	for lines := bufio.NewScanner(out); endpoint == "" && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "server %s %s", &endpoint, &dir)
	}
	if endpoint == "" {
		t.Fatalf("the child gave no address: %v", child.Wait())
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	conn.Read(make([]byte, 1)) // returns when the server is gone
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

func TestObjectsAreFilesAndBucketsAreApart(t *testing.T) {
	s := s3test.Start(t)
	c := s.Client(t)
	a, b := s.Bucket(t), s.Bucket(t)
	l := store.Location{Bucket: a, Key: "x/y.csv"}
	if _, err := c.Put(t.Context(), l, []byte("1,2\n"), store.Condition{}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(s.Path(l)); err != nil || string(data) != "1,2\n" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := c.Stat(t.Context(), store.Location{Bucket: b, Key: l.Key}); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("the other bucket has it: %v", err)
	}
}
