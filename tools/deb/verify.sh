#!/bin/sh
# verify.sh DEB DIR: unpacks a .deb below DIR and looks whether it holds what it should;
# by lintian and systemd's own check, too, where they are installed.
set -eu
deb=$1
root="$2/$(basename "$deb" .deb)"
fail() { echo "release: $(basename "$deb"): $*" >&2; exit 1; }

command -v dpkg-deb >/dev/null || exit 0
mkdir -p "$root"
dpkg-deb -x "$deb" "$root"
dpkg-deb -e "$deb" "$root/DEBIAN"
for file in usr/bin/rpipe etc/rpipe/rpipe.yaml lib/systemd/system/rpipe-serve.service \
	lib/systemd/system/rpipe-proxy.service lib/systemd/system/rpipe-worker.service \
	usr/share/doc/rpipe/copyright usr/share/doc/rpipe/NOTICES.gz usr/share/man/man1/rpipe.1.gz \
	usr/share/bash-completion/completions/rpipe DEBIAN/postinst DEBIAN/prerm DEBIAN/postrm; do
	[ -s "$root/$file" ] || fail "lacks $file"
done
grep -qx /etc/rpipe/rpipe.yaml "$root/DEBIAN/conffiles" || fail "/etc/rpipe/rpipe.yaml is no conffile: upgrades would overwrite it"
! grep -l /usr/local "$root"/lib/systemd/system/*.service || fail "a unit names /usr/local"
if "$root/usr/bin/rpipe" version >/dev/null 2>&1; then
	# A server with that configuration comes up, and ends with status 0.
	data=$(mktemp -d)
	"$root/usr/bin/rpipe" serve "$root/etc/rpipe/rpipe.yaml" --data "$data/data" --listen 127.0.0.1:0 --max -1 >"$data/log" 2>&1 &
	server=$!
	for _ in $(seq 300); do
		[ ! -f "$data/data/server.json" ] || break
		sleep 0.1 # between two looks
	done
	kill -TERM $server 2>/dev/null || true
	wait $server || { cat "$data/log" >&2; fail "rpipe serve does not run with /etc/rpipe/rpipe.yaml"; }
	rm -rf "$data"
fi
if command -v lintian >/dev/null; then
	# initial-upload-closes-no-bugs is for packages of Debian's own.
	lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$deb" >&2 || fail "lintian finds the above"
fi
