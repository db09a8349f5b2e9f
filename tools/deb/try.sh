#!/bin/sh
# try.sh DEB: installs a .deb into a new Debian 12 and looks at it, upgrades and removes it.
# Needs root, mmdebstrap and Debian's packages; BASE may name a tar of such a system.
set -eu
deb=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() { echo "release: $(basename "$deb"): $*" >&2; exit 1; }
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

if [ -n "${BASE:-}" ]; then tar -C "$root" -xf "$BASE"; else mmdebstrap --quiet --variant=minbase bookworm "$root"; fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp "$deb" "$root/rpipe.deb"
in_root apt-get update -qq
in_root apt-get install -qq -y --no-install-recommends /rpipe.deb procps systemd >/dev/null 2>&1
in_root rpipe version | grep -q DuckDB || fail "the program does not run in Debian 12"
in_root getent passwd rpipe | grep -q ':/var/lib/rpipe:/usr/sbin/nologin$' || fail "there is no user rpipe"
for unit in serve proxy worker; do
	in_root systemd-analyze verify --man=no "/lib/systemd/system/rpipe-$unit.service" || fail "systemd does not like rpipe-$unit.service"
	[ -z "$(find "$root/etc/systemd" -name "rpipe-$unit.service")" ] || fail "rpipe-$unit is enabled without anybody's word"
done
echo "# mine" >>"$root/etc/rpipe/rpipe.yaml"
in_root dpkg -i /rpipe.deb >/dev/null || fail "cannot be upgraded"
grep -q '^# mine' "$root/etc/rpipe/rpipe.yaml" || fail "an upgrade overwrites /etc/rpipe/rpipe.yaml"
install -d "$root/var/lib/rpipe" && echo kept >"$root/var/lib/rpipe/task"
in_root apt-get remove -qq -y rpipe >/dev/null
[ -f "$root/etc/rpipe/rpipe.yaml" ] || fail "removing takes the configuration along"
in_root apt-get purge -qq -y rpipe >/dev/null
[ ! -e "$root/etc/rpipe" ] || fail "purge leaves /etc/rpipe"
[ -f "$root/var/lib/rpipe/task" ] || fail "purge takes tasks and results along"
echo "release: $(basename "$deb") is installed, upgraded and removed in Debian 12" >&2
