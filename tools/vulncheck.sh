#!/usr/bin/env bash
# Looks for known vulnerabilities in what rpipe calls, with Go's govulncheck. Where its
# database is out of reach nothing was found out: that is an error, unless
# VULNCHECK=optional.
set -uo pipefail
cd "$(dirname "$0")/.."
version=v1.1.4

unknown() {
	echo "vulncheck: nothing was checked: $1" >&2
	[ "${VULNCHECK:-}" = optional ] && exit 0
	echo "vulncheck: VULNCHECK=optional lets this pass" >&2
	exit 1
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
db=${GOVULNDB:-https://vuln.go.dev}
case $db in
http*) curl -fsS --max-time 20 -o /dev/null "$db/index/db.json" 2>"$out" || unknown "$db cannot be reached: $(head -1 "$out")" ;;
esac
go run "golang.org/x/vuln/cmd/govulncheck@$version" ./... >"$out" 2>&1
status=$?
cat "$out"
case $status in
0) echo "vulncheck: no known vulnerability is called" ;;
3) echo "vulncheck: vulnerabilities are called: see above" >&2; exit 1 ;;
*) unknown "govulncheck failed with status $status" ;;
esac
