package predict

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// media is a form that rows come and go in.
type media string

// The media that the endpoints read and write, by their first name.
const (
	mediaJSON        media = "application/json"
	mediaNDJSON      media = "application/x-ndjson"
	mediaCSV         media = "text/csv"
	mediaArrowStream media = "application/vnd.apache.arrow.stream"
	mediaArrowFile   media = "application/vnd.apache.arrow.file"
)

var allMedia = []media{mediaJSON, mediaNDJSON, mediaCSV, mediaArrowStream, mediaArrowFile}

// mediaOf is the medium of a media type; "" for none of them.
func mediaOf(mimeType string) media {
	switch mimeType {
	case "application/x-ndjson", "application/ndjson", "application/jsonlines", "application/x-jsonlines", "application/jsonl":
		return mediaNDJSON
	case "text/csv", "application/csv":
		return mediaCSV
	case string(mediaArrowStream), string(mediaArrowFile):
		return media(mimeType)
	}
	if mimeType == "application/json" || mimeType == "text/json" ||
		strings.HasPrefix(mimeType, "application/") && strings.HasSuffix(mimeType, "+json") {
		return mediaJSON
	}
	return ""
}

// received is the medium of a request's body. Without a Content-Type, and with the
// one that curl -d gives, it is JSON.
func received(r *http.Request) (media, error) {
	text := r.Header.Get("Content-Type")
	if text == "" {
		return mediaJSON, nil
	}
	mimeType, params, err := mime.ParseMediaType(text)
	if err != nil {
		return "", fault.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Type: "+err.Error())
	}
	m := mediaOf(mimeType)
	if mimeType == "application/x-www-form-urlencoded" {
		m = mediaJSON
	}
	if m == "" {
		return "", fault.New(http.StatusUnsupportedMediaType, "unsupported_media_type",
			fmt.Sprintf("rows do not come as %s; send one of %s", mimeType, mediaList()))
	}
	if c := strings.ToLower(params["charset"]); c != "" && c != "utf-8" && c != "us-ascii" && c != "utf8" {
		return "", fault.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "text must be UTF-8, not "+c)
	}
	return m, nil
}

// wanted is the medium of the answer: the first of the best that Accept names, or
// that of the request where any will do.
func wanted(r *http.Request, came media) (media, error) {
	best, quality := media(""), 0.0
	given := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(given) == "" {
		return came, nil
	}
	for part := range strings.SplitSeq(given, ",") {
		mimeType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		m := mediaOf(mimeType)
		switch {
		case mimeType == "*/*",
			strings.HasSuffix(mimeType, "/*") && strings.HasPrefix(string(came), strings.TrimSuffix(mimeType, "*")):
			m = came
		case mimeType == "application/*":
			m = mediaJSON
		case mimeType == "text/*":
			m = mediaCSV
		}
		if m != "" && q > quality {
			best, quality = m, q
		}
	}
	if best == "" {
		return "", fault.New(http.StatusNotAcceptable, "not_acceptable", "results come as one of "+mediaList())
	}
	return best, nil
}

func mediaList() string {
	parts := make([]string, len(allMedia))
	for i, m := range allMedia {
		parts[i] = string(m)
	}
	return strings.Join(parts, ", ")
}
