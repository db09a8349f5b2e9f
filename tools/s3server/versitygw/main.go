// Command versitygw serves a directory as S3, for the tests of rpipe: Versity's
// gateway less its other backends. Buckets are directories, objects plain files.
//
//	versitygw DIR ACCESS_KEY SECRET_KEY
//
// It prints its address once it can be reached. When its standard input ends it
// removes DIR and ends too: whoever started it may die in any way.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("versitygw: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: versitygw DIR ACCESS_KEY SECRET_KEY")
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.RemoveAll(os.Args[1])
		os.Exit(0)
	}()
	log.Fatal(serve(os.Args[1], os.Args[2], os.Args[3]))
}

func serve(dir, key, secret string) error {
	buckets := filepath.Join(dir, "buckets")
	if err := os.MkdirAll(buckets, 0o700); err != nil {
		return err
	}
	backend, err := open(buckets, filepath.Join(dir, "attributes"))
	if err != nil {
		return err
	}
	defer backend.Shutdown()

	account := auth.Account{Access: key, Secret: secret, Role: auth.RoleAdmin}
	root := middlewares.RootUserConfig{Access: key, Secret: secret}
	// The gateway tells nobody which port it was given, so one is picked first;
	// where somebody else takes it meanwhile, the next is tried.
	for range 20 {
		var address string
		if address, err = freeAddress(); err != nil {
			return err
		}
		var server *s3api.S3ApiServer
		server, err = s3api.New(backend, root, "us-east-1", auth.NewIAMServiceSingle(account), nil, nil, nil, nil,
			s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithConcurrencyLimiter(10_000, 10_000), s3api.WithMpMaxParts(10_000),
			s3api.WithOnListen(func() { fmt.Println("http://" + address) }))
		if err != nil {
			return err
		}
		err = server.ServeMultiPort([]string{address})
	}
	return err
}

// open keeps what S3 knows of an object beyond its bytes in extended attributes,
// or, where the file system has none, in files beside the buckets.
func open(buckets, attributes string) (*posix.Posix, error) {
	options := posix.PosixOpts{CopyObjectThreshold: 5 << 30}
	if (meta.XattrMeta{}).Test(buckets) == nil {
		return posix.New(buckets, meta.XattrMeta{}, options)
	}
	if err := os.MkdirAll(attributes, 0o700); err != nil {
		return nil, err
	}
	files, err := meta.NewSideCar(attributes)
	if err != nil {
		return nil, err
	}
	return posix.New(buckets, files, options)
}

func freeAddress() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
