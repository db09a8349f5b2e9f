package front

import (
	"strings"
	"testing"
)

func TestTokensInAddressesAreNotWritten(t *testing.T) {
	const secret = "rpt_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghi"
	f := func(uri, want string) {
		t.Helper()
		if got := withoutTokens(uri); got != want || strings.Contains(got, secret[10:]) {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
	f("/v1/jobs?limit=1", "/v1/jobs?limit=1")
	f("/a%20b?x=100%", "/a%20b?x=100%")
	f("/v1/jobs?who="+secret, "/v1/jobs?who=rpt_***")
	f("/"+secret+"/x", "/rpt_***/x")
	f("/x?q=%72pt_"+secret[4:], "%2Fx%3Fq=rpt_%2A%2A%2A")
	f("/x?q=rpt%5F"+secret[4:]+"&y=%zz", "%2Fx%3Fq=rpt_%2A%2A%2A&y=%25zz")
}
