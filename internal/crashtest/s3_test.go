package crashtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func location(t *testing.T, url string) store.Location {
	t.Helper()
	l, err := store.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// s3Config is the s3 block for a server, with a lease that tests can wait for.
func s3Config(s *s3test.Server) string {
	c := s.Config()
	return fmt.Sprintf("s3: {endpoint: %q, region: %q, access_key_id: %q, secret_access_key: %q, lease: 5s}\n",
		c.Endpoint, c.Region, string(c.AccessKeyID), string(c.SecretAccessKey))
}

func TestOnS3EachRowIsThereOnceWhateverTheCrash(t *testing.T) {
	url, asked := api(t)
	s := s3test.Start(t)
	total := 0
	for run := range enough(1) {
		bucket := s.Bucket(t)
		pipeline, check := rowsTail, (*trial).checkRows
		if run%3 == 2 {
			pipeline, check = aggregateTail, (*trial).checkSums
		}
		c := newTrial(t, *seed+3000+uint64(run), program.Path, head+pipeline, url, "s3://"+bucket, s.Client(t), often+s3Config(s))
		total += c.crash(5)
		check(c, t)
		c.checkNothingLeft(t)
		if n := s.OpenUploads(t, bucket); n != 0 {
			t.Errorf("%d uploads are left open", n)
		}
	}
	t.Logf("%d crashes, %d rows, %d requests", total, rows, asked.Load())
}

// A process that hangs is taken for dead; another goes on; then it wakes up.
func TestAProcessThatWakesUpLateSpoilsNothing(t *testing.T) {
	url, _ := api(t)
	s := s3test.Start(t)
	fenced := 0
	for run := range enough(1) {
		bucket := s.Bucket(t)
		c := newTrial(t, *seed+4000+uint64(run), program.Path, head+rowsTail, url, "s3://"+bucket, s.Client(t), often+s3Config(s))
		old, said := c.start("")
		<-time.After(700*time.Millisecond + time.Duration(c.rng.Int64N(int64(700*time.Millisecond)))) // a random instant of a real process
		if err := stop(old); err != nil {
			t.Fatal(err)
		}
		took := time.Now()
		for {
			next, nextSaid := c.start("")
			err := next.Wait()
			if strings.Contains(nextSaid.String(), "another run is writing here") { // until the lease is over
				if time.Since(took) > 30*time.Second {
					t.Fatalf("the lease of 5 s is not over after 30 s:\n%s", nextSaid)
				}
				continue
			}
			if !c.done(err, nextSaid.String()) {
				t.Fatal(nextSaid)
			}
			break
		}
		c.checkRows(t)
		c.checkNothingLeft(t)
		if err := wake(old); err != nil {
			t.Fatal(err)
		}
		_ = old.Wait() // one that was stopped behind its last write may say that it is done
		if strings.Contains(said.String(), "has taken") {
			fenced++
		}
		c.checkRows(t) // it may leave a record of its own, which says that it let go
	}
	t.Logf("%d of %d old processes found out that they were replaced", fenced, enough(1))
	if fenced == 0 {
		t.Error("none of the old processes found out: they were stopped too late")
	}
}
