package front

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
)

// tokenText is the secret of one of rpipe's own tokens (package tokens), or most of it.
var tokenText = regexp.MustCompile(`rpt_[0-9A-Za-z]{20,}`)

var escape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// withoutTokens is an address without secrets of tokens, which do not belong there and
// may stand anywhere in it by mistake, spelt in any way.
func withoutTokens(uri string) string {
	if strings.Contains(uri, "rpt_") {
		uri = tokenText.ReplaceAllString(uri, "rpt_***")
	}
	if !strings.Contains(uri, "%") {
		return uri
	}
	plain := escape.ReplaceAllStringFunc(uri, func(e string) string {
		if b, err := hex.DecodeString(e[1:]); err == nil {
			return string(b)
		}
		return e
	})
	if tokenText.MatchString(plain) {
		return url.PathEscape(tokenText.ReplaceAllString(plain, "rpt_***"))
	}
	return uri
}
