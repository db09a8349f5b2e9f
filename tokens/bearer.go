package tokens

import (
	"net/http"
	"strings"
)

// Bearer is the secret that a request shows: as a bearer, or, since that is what a
// browser can ask a person for, as the password of a login.
func Bearer(r *http.Request) (secret string, shown bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), ok && strings.EqualFold(scheme, "Bearer")
}
