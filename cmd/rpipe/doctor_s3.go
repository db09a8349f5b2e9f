package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// examineS3 looks whether a place can be listed and written to, and what its
// server honours of the protocol. It writes small objects there, and removes them.
func examineS3(ctx context.Context, address string, config store.Config) []finding {
	place, err := store.Parse(address)
	if err != nil {
		return []finding{{What: "S3", Found: address + " is not an S3 address", Status: "bad", Mend: "write s3://bucket or s3://bucket/prefix"}}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	config.MaxAttempts = 2
	client := store.New(config)
	defer client.Close()

	reads := listed(ctx, client, place)
	if reads.Status != "ok" {
		return []finding{reads}
	}
	honoured, err := client.Probe(ctx, place)
	if err != nil {
		return []finding{reads, lacking("S3 writes", err)}
	}
	findings := []finding{reads, {What: "S3 writes", Found: "objects below " + address + " can be written and deleted", Status: "ok"}}
	if !client.Checksums() && config.Checksum != "none" {
		findings = append(findings, finding{What: "S3 checksums", Found: "refused; uploads go without", Status: "note",
			Mend: "set checksum: none in the s3 block, and nothing is tried in vain"})
	}
	return append(findings, conditions(honoured))
}

func listed(ctx context.Context, client *store.Client, place store.Location) finding {
	f := finding{What: "S3 reads", Found: place.String() + " can be listed, and is empty", Status: "ok"}
	for _, err := range client.List(ctx, place) {
		if err != nil {
			return lacking("S3 reads", err)
		}
		f.Found = place.String() + " can be listed"
		break
	}
	return f
}

func conditions(honoured store.Conditions) finding {
	f := finding{What: "S3 conditions", Found: "held where objects are put and uploads completed", Status: "ok"}
	switch {
	case !honoured.Put:
		f.Found, f.Status = "passed over: If-None-Match and If-Match of a put", "note"
		f.Mend = "two runs that write to one place would not notice each other: see to it that there is only one, or use a server that has conditional writes"
	case !honoured.Complete:
		f.Found, f.Status = "held where objects are put, passed over where uploads are completed", "note"
		f.Mend = "locks hold; an object that somebody else wrote under the name of a new file would be replaced"
	}
	return f
}

// lacking is a finding of what could not be done; what the store says of how to
// mend it stands apart.
func lacking(what string, err error) finding {
	f := finding{What: what, Found: err.Error(), Status: "bad"}
	var e *store.Error
	if errors.As(err, &e) && e.Hint != "" {
		f.Found = strings.TrimSuffix(e.Error(), "; "+e.Hint)
		f.Mend = e.Hint
	}
	return f
}
