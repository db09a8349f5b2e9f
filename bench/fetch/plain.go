//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// plainWord makes this program the other side of a rate: a process that sends as
// many requests by the usual limiter of Go and does nothing else. What arrives
// too close together there is the network's and the machine's.
const plainWord = "plain-requests"

func plain(url string, perSecond float64, burst, rows int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	limiter := rate.NewLimiter(rate.Limit(perSecond), burst)
	var requests errgroup.Group
	requests.SetLimit(inFlight)
	for i := range rows {
		requests.Go(func() error {
			if err := limiter.Wait(context.Background()); err != nil {
				return err
			}
			resp, err := client.Get(fmt.Sprintf("%s/items/%d", url, i))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		})
	}
	return requests.Wait()
}
