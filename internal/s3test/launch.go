package s3test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// held keeps the standard inputs of servers open: a server ends, and removes its
// directory, when this process no longer holds its input, so when this process
// ends in whatever way.
var held []*os.File

// Launch starts the server of that name, versitygw or rclone, and waits until it
// can be reached. It is for programs; tests call Start.
func Launch(name string) (*Server, error) {
	binary, err := Build(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(temporary, "rpipe-s3-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: filepath.Join(dir, "buckets"), AccessKey: "rpipe-test", SecretKey: "rpipe-test-secret", log: filepath.Join(dir, "log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	input, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	address, output, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer output.Close()

	cmd := exec.Command(binary, dir, s.AccessKey, s.SecretKey)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, output, log
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	held = append(held, hold, address)
	output.Close() // ours, so that the server's end is seen
	address.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(address).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		said, _ := os.ReadFile(s.log)
		os.RemoveAll(dir)
		return nil, errors.Join(fmt.Errorf("it gave no address: %w", err), errors.New(last(said, 2000)))
	}
	s.Endpoint = strings.TrimSpace(line)
	return s, nil
}

// last is the end of a text.
func last(text []byte, n int) string {
	return string(text[max(0, len(text)-n):])
}
