// Command server builds the S3 servers of the tests, so that a first build is
// seen as what it is and not as a slow test.
//
//	go run ./internal/s3test/server [versitygw] [rclone]
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/rpipe-dev/rpipe/internal/s3test"
)

func main() {
	log.SetFlags(0)
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"versitygw"}
	}
	for _, name := range names {
		binary, err := s3test.Build(name)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		fmt.Println(binary)
	}
}
