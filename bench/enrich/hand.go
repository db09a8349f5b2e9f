//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"
)

// handWord makes this program another side: the job as somebody writes it in Go
// for this one purpose, with nothing in it that the purpose does not need. It
// bounds what any general tool can reach.
const handWord = "by-hand"

// item is a row of the output.
type item struct {
	I      int64   `parquet:"i"`
	SKU    string  `parquet:"sku" json:"sku"`
	Price  float64 `parquet:"price" json:"price"`
	Beyond float64 `parquet:"beyond"`
}

// byHand asks for all rows with a goroutine each, 64 at once, while R works on
// those that are there.
func byHand(url string, rows int, file string) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	var requests errgroup.Group
	requests.SetLimit(inFlight)
	answers := make(chan item, rows)
	failed := make(chan error, 1)
	go func() {
		for i := range rows {
			requests.Go(func() error {
				it := item{I: int64(i + 1)}
				if err := get(client, fmt.Sprintf("%s/items/%d", url, it.I), &it); err != nil {
					return err
				}
				answers <- it
				return nil
			})
		}
		failed <- requests.Wait()
		close(answers)
	}()

	r, err := startR()
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := parquet.NewGenericWriter[item](f, parquet.Compression(&parquet.Zstd))
	var batch []item
	flush := func() error {
		if err := r.score(batch); err != nil {
			return err
		}
		_, err := w.Write(batch)
		batch = batch[:0]
		return err
	}
	for it := range answers {
		if batch = append(batch, it); len(batch) == 500 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Sync()
}

func get(client *http.Client, url string, into any) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// rProcess is one R, which lives as long as the program.
type rProcess struct {
	end func() error
	in  *bufio.Writer
	out *bufio.Scanner
}

func startR() (*rProcess, error) {
	cmd := exec.Command("Rscript", "--vanilla", "piped.R")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	end := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	return &rProcess{end, bufio.NewWriter(in), bufio.NewScanner(out)}, cmd.Start()
}

func (r *rProcess) score(batch []item) error {
	if len(batch) == 0 {
		return nil
	}
	fmt.Fprintln(r.in, len(batch))
	for _, it := range batch {
		fmt.Fprintf(r.in, "%d,%s,%g\n", it.I, it.SKU, it.Price)
	}
	if err := r.in.Flush(); err != nil {
		return err
	}
	for i := range batch {
		if !r.out.Scan() {
			return fmt.Errorf("the R process has ended: %w", r.out.Err())
		}
		var err error
		if batch[i].Beyond, err = strconv.ParseFloat(r.out.Text(), 64); err != nil {
			return err
		}
	}
	return nil
}
