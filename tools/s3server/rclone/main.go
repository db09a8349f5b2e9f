// Command rclone serves a directory as S3, for the long tests of rpipe: rclone's
// server less its other parts.
//
//	rclone DIR ACCESS_KEY SECRET_KEY
//
// It prints its address once it can be reached. When its standard input ends it
// removes DIR and ends too: whoever started it may die in any way.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/cmd/serve/s3"
	"github.com/rclone/rclone/fs/rc"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("rclone: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: rclone DIR ACCESS_KEY SECRET_KEY")
	}
	buckets := filepath.Join(os.Args[1], "buckets")
	if err := os.MkdirAll(buckets, 0o700); err != nil {
		log.Fatal(err)
	}
	started, err := rc.Calls.Get("serve/start").Fn(context.Background(), rc.Params{
		"type": "s3", "fs": buckets, "addr": "127.0.0.1:0",
		"auth_key": `"` + os.Args[2] + "," + os.Args[3] + `"`, // a list, as CSV, of pairs with a comma
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", started["addr"])
	io.Copy(io.Discard, os.Stdin)
	os.RemoveAll(os.Args[1])
}
