//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/bench/fronts"
)

// firstAnswer is the time from the start of the program to its first answer.
func firstAnswer(s bench.Setting, program string, api fronts.API) error {
	side := func(name string, start func() (*fronts.Server, error)) *bench.Side {
		return &bench.Side{Name: name, Run: func() (float64, error) {
			begun := time.Now()
			server, err := start()
			if err != nil {
				return 0, err
			}
			defer server.Close()
			err = server.Ready(path)
			return time.Since(begun).Seconds(), err
		}}
	}
	sides := []*bench.Side{
		side("rpipe proxy", func() (*fronts.Server, error) { return fronts.RPipe(program, api, 2) }),
		side("plumber alone", func() (*fronts.Server, error) { return fronts.Plumber(api) }),
	}
	var peers []*fronts.Peer
	for _, peer := range []struct {
		name  string
		start func() (*fronts.Server, error)
	}{
		{"valve", func() (*fronts.Server, error) { return fronts.Valve(*valve, api, 2) }},
		{"faucet", func() (*fronts.Server, error) { return fronts.Faucet(*faucet, api, 2) }},
	} {
		if there, err := installed(peer.name, peer.start); err != nil {
			return err
		} else if there {
			p := &fronts.Peer{Name: peer.name}
			one := side(peer.name, peer.start)
			p.Measure(one)
			sides, peers = append(sides, one), append(peers, p)
		}
	}
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	defer fronts.Tell(peers)
	bench.Print("From the start of the program to the first answer", bench.Seconds, sides[0], sides[1:]...)
	return nil
}

// oneMore is the time until a request is answered that needs a second worker,
// while the only one that is up computes.
func oneMore(s bench.Setting, program string, api fronts.API) error {
	side := func(name string, start func() (*fronts.Server, error)) *bench.Side {
		return &bench.Side{Name: name, Run: func() (float64, error) {
			server, err := start()
			if err != nil {
				return 0, err
			}
			defer server.Close()
			if err := server.Ready(path); err != nil {
				return 0, err
			}
			return besides(server, api)
		}}
	}
	rpipe := side("rpipe proxy", func() (*fronts.Server, error) { return fronts.RPipe(program, api, 2) })
	sides, peer := []*bench.Side{rpipe}, &fronts.Peer{Name: "valve"}
	start := func() (*fronts.Server, error) { return fronts.Valve(*valve, api, 2) }
	if there, err := installed("valve", start); err != nil {
		return err
	} else if there {
		one := side("valve", start)
		peer.Measure(one)
		sides = append(sides, one)
	}
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	defer fronts.Tell([]*fronts.Peer{peer})
	bench.Print("A request that needs one more worker, while the first one computes", bench.Seconds, rpipe, sides[1:]...)
	return nil
}

// besides keeps a worker busy and times a request to another.
func besides(server *fronts.Server, api fronts.API) (took float64, err error) {
	mark := filepath.Join(api.Dir, "spinning")
	defer os.Remove(mark)
	busy := make(chan error, 1)
	go func() {
		busy <- get(fmt.Sprintf("http://%s/spin?mark=%s", server.Addr, mark))
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("the request that is to keep a worker busy did not reach it")
		}
	}
	begun := time.Now()
	if err := get("http://" + server.Addr + path); err != nil {
		return 0, err
	}
	took = time.Since(begun).Seconds()
	select {
	case err := <-busy:
		return 0, fmt.Errorf("the first worker was not busy all the time: %v", err)
	default:
	}
	if err := os.Remove(mark); err != nil {
		return 0, err
	}
	return took, <-busy
}

func get(url string) error {
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != 200 {
		return fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return nil
}
