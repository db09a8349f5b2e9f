package store

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
)

// Checksums reports whether uploads go with CRC32. Where checksum is auto, the
// first upload finds out.
func (c *connection) Checksums() bool {
	return c.settings.Checksum != "none" && !c.refused.Load()
}

// checked runs a request with checksums and, where checksum is auto and the
// server refuses those, once more without. Where that helps, it does without for
// good: an answer may mean another header.
func (c *connection) checked(request func(crc bool) error) error {
	with := c.Checksums()
	err := request(with)
	if with && c.settings.Checksum == "auto" && refusesChecksums(err) {
		if err = request(false); !refusesChecksums(err) {
			c.refused.Store(true)
		}
	}
	return err
}

// refusesChecksums reports whether a request failed because the server does not
// know checksums, and not because one was wrong: servers answer a header that
// they do not know in several ways, but they name it.
func refusesChecksums(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	message := strings.ToLower(api.ErrorMessage())
	named := strings.Contains(message, "checksum") || strings.Contains(message, "crc32") || strings.Contains(message, "x-amz-sdk")
	switch api.ErrorCode() {
	case "NotImplemented", "UnsupportedHeader":
		return named || strings.Contains(message, "header")
	case "InvalidArgument", "InvalidRequest", "UnsupportedArgument", "InvalidHeader":
		return named
	}
	return named && statusOf(err) == http.StatusNotImplemented
}

// crcOf is a CRC32 as S3 writes it.
func crcOf(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))
}
