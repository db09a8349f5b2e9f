#!/bin/sh
# Makes the files of a release in dist/; docs/release.md says what they are. The workflow
# of GitHub runs these, and so does make release-snapshot:
#
#   tools/release.sh version           what a release of this tree is called
#   tools/release.sh check             whether tag, changelog and R package agree
#   tools/release.sh build OS ARCH     dist/bin/rpipe_OS_ARCH
#   tools/release.sh package           archives, .deb, SBOM, R package, SHA256SUMS, of all in dist/bin
#   tools/release.sh notes             what the changelog says of this version
#   tools/release.sh verify            whether what is in dist is whole, and runs
#   tools/release.sh try               whether rp_install() and apt-get install it
#   tools/release.sh snapshot          build for this machine, package, verify
#   tools/release.sh reproduce         build twice, in two places, and compare
set -eu
cd "$(dirname "$0")/.."

dist="${DIST:-$PWD/dist}"

# All that is made on the way is below it.
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT

say() { echo "release: $*" >&2; }
fail() { say "$*"; exit 1; }

base=$(sed -n 's/^Version: //p' r/rpipe/DESCRIPTION)
revision=$(git rev-parse --short=12 HEAD)
tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
dirty=""
[ -z "$(git status --porcelain --untracked-files=no)" ] || dirty=.modified
if [ -n "$tag" ] && [ -z "$dirty" ]; then
	version="${tag#v}"
else
	version="$base-snapshot.$revision$dirty"
fi
# All times in what is made are that of the commit, so that it can be made again.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
export LC_ALL=C TZ=UTC

# changelog VERSION prints its section.
changelog() {
	awk -v v="## [$1]" 'index($0, "## [") == 1 { on = index($0, v) == 1; next } on' CHANGELOG.md
}

check() {
	[ -n "$tag" ] || fail "HEAD has no tag such as v$base: git tag -a v$base, on a commit whose CHANGELOG.md has a section [$base]"
	[ -z "$dirty" ] || fail "files differ from the commit: git status"
	[ "${tag#v}" = "$base" ] || fail "the tag is $tag, but r/rpipe/DESCRIPTION says Version: $base"
	grep -q "^# rpipe $base\$" r/rpipe/NEWS.md || fail "r/rpipe/NEWS.md has no section \"# rpipe $base\""
	grep -Eq "^## \[$base\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md || fail "CHANGELOG.md has no section \"## [$base] - YEAR-MONTH-DAY\""
	[ -n "$(changelog "$base" | tr -d '[:space:]')" ] || fail "the section [$base] of CHANGELOG.md is empty"
	say "$tag may be released"
}

notes() {
	text=$(changelog "$version")
	[ -n "$text" ] || text=$(changelog Unreleased)
	echo "$text"
}

# build OS ARCH [FILE]: SQL is C++, so a compiler for that platform is needed: its own, or
# on Linux that of Debian's g++-aarch64-linux-gnu. libstdc++ is linked in.
build() {
	out="${3:-$dist/bin/rpipe_$1_$2}"
	cc="${CC:-cc}" cxx="${CXX:-c++}"
	if [ "$1" = linux ] && [ "$2" != "$(go env GOHOSTARCH)" ]; then
		case "$2" in
		arm64) cc=aarch64-linux-gnu-gcc cxx=aarch64-linux-gnu-g++ ;;
		amd64) cc=x86_64-linux-gnu-gcc cxx=x86_64-linux-gnu-g++ ;;
		esac
	fi
	[ "$1" = "$(go env GOHOSTOS)" ] || fail "$1/$2 is built on $1: the SQL engine needs its compiler and libraries"
	command -v "$cc" >/dev/null || fail "there is no $cc to build for $1/$2; on Debian: apt-get install g++-aarch64-linux-gnu"
	# The build id would tell one directory of libraries from another.
	flags="-s -w -buildid= -X main.release=v$version"
	libraries="$scratch/lib-$1-$2"
	mkdir -p "$libraries"
	if [ "$1" = linux ]; then
		# The bindings say -lstdc++: here is none but the static one.
		ln -s "$("$cxx" -print-file-name=libstdc++.a)" "$libraries/libstdc++.a"
		flags="$flags -extldflags -L$libraries"
	fi
	say "building $version for $1/$2"
	mkdir -p "$(dirname "$out")"
	CGO_ENABLED=1 GOOS=$1 GOARCH=$2 CC=$cc CXX=$cxx \
		go build -trimpath -ldflags "$flags" -o "$out" ./cmd/rpipe
}

# duckdb is the version of the SQL engine: that of its bindings, 0.10505.0 for 1.5.5.
duckdb() {
	go list -m -f '{{.Version}}' github.com/duckdb/duckdb-go-bindings |
		sed -n 's/^v0[.]\([0-9]*\)\([0-9][0-9]\)\([0-9][0-9]\)[.].*/\1 \2 \3/p' | awk '{print $1 + 0 "." $2 + 0 "." $3 + 0}'
}

# runs FILE: whether this machine can run it.
runs() { "$1" version >/dev/null 2>&1; }

# sums writes SHA256SUMS of the files beside it.
sums() {
	(cd "$dist" && rm -f SHA256SUMS && if command -v sha256sum >/dev/null; then sha256sum rpipe*; else shasum -a 256 rpipe*; fi >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
}

package() {
	ls "$dist"/bin/rpipe_* >/dev/null 2>&1 || fail "dist/bin is empty: tools/release.sh build OS ARCH"
	[ "$(uname -s)" = Linux ] || fail "files are packed on Linux, with its tar and date: copy dist/bin there"
	rm -f "$dist"/rpipe* "$dist"/SHA256SUMS
	work="$scratch/package"
	mkdir "$work"
	date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M.%S)
	for binary in "$dist"/bin/rpipe_*; do
		platform=$(basename "$binary" | sed 's/^rpipe_//')
		say "packing $platform"
		name="rpipe_${version}_$platform"
		dir="$work/$name"
		mkdir -p "$dir/systemd"
		install -m 755 "$binary" "$dir/rpipe"
		go run ./tools/sbom --version "v$version" --with "pkg:github/duckdb/duckdb@v$(duckdb)" \
			--notices "$dir/NOTICES" "$binary" >"$dist/$name.cdx.json"
		install -m 644 LICENSE README.md CHANGELOG.md "$dir"
		case "$platform" in
		linux_*)
			install -m 644 deploy/systemd/*.service "$dir/systemd"
			deb "$dir" "${platform#linux_}"
			;;
		*) rmdir "$dir/systemd" ;;
		esac
		find "$dir" -exec touch -h -t "$date" {} +
		tar --sort=name --owner=0 --group=0 --numeric-owner -C "$work" -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
	done
	if command -v R >/dev/null; then
		(cd "$work" && R CMD build --no-build-vignettes "$OLDPWD/r/rpipe" >"$work/log" 2>&1) || { cat "$work/log" >&2; exit 1; }
		# The archive of R's is packed again without times and users.
		(cd "$work" && tar xzf "rpipe_$base.tar.gz" && sed -i '/^Packaged:/d' rpipe/DESCRIPTION && find rpipe -exec touch -h -t "$date" {} + &&
			tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - rpipe | gzip -9n >"$dist/rpipe_$base.tar.gz")
	fi
	sums
	say "$(wc -l <"$dist/SHA256SUMS" | tr -d ' ') files are in $dist"
}

# deb DIR ARCH packs what is in DIR for Debian and Ubuntu.
deb() {
	command -v dpkg-deb >/dev/null || { say "there is no dpkg-deb: no .deb is made"; return; }
	root="$work/deb-$2"
	put() { install -D -m "$1" "$2" "$root/$3"; }
	put 755 "$1/rpipe" usr/bin/rpipe
	put 644 tools/deb/rpipe.yaml etc/rpipe/rpipe.yaml
	put 644 tools/deb/lintian-overrides usr/share/lintian/overrides/rpipe
	for unit in deploy/systemd/*.service; do
		sed 's|/usr/local/bin/rpipe|/usr/bin/rpipe|; s|rpipe serve$|rpipe serve /etc/rpipe/rpipe.yaml|' "$unit" >"$work/unit"
		put 644 "$work/unit" "lib/systemd/system/$(basename "$unit")"
	done
	{ cat tools/deb/copyright; sed 1,4d LICENSE | sed 's/^$/./; s/^/ /'; } >"$work/copyright"
	put 644 "$work/copyright" usr/share/doc/rpipe/copyright
	put 644 "$1/NOTICES" usr/share/doc/rpipe/NOTICES
	# Debian's form of the version: what comes before a release sorts before it.
	debian=$(echo "$version" | sed 's/-/~/')
	{
		echo "rpipe ($debian) stable; urgency=medium"
		echo
		echo "  * https://github.com/rpipe-dev/rpipe/blob/main/CHANGELOG.md says what is new."
		echo
		echo " -- The rpipe authors <rpipe-dev@users.noreply.github.com>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} >"$work/changelog"
	put 644 "$work/changelog" usr/share/doc/rpipe/changelog
	put 644 tools/deb/rpipe.1 usr/share/man/man1/rpipe.1
	gzip -9n "$root/usr/share/doc/rpipe/NOTICES" "$root/usr/share/doc/rpipe/changelog" "$root/usr/share/man/man1/rpipe.1"
	# It is the same for all processors.
	host="$1/rpipe"
	runs "$host" || host="$dist/bin/rpipe_linux_$(go env GOHOSTARCH)"
	"$host" completion bash >"$work/completion"
	put 644 "$work/completion" usr/share/bash-completion/completions/rpipe

	size=$(du -sk --apparent-size "$root" | cut -f1)
	(cd "$root" && find . -type f -printf '%P\n' | sort | xargs md5sum) >"$work/md5sums"
	put 644 "$work/md5sums" DEBIAN/md5sums
	echo /etc/rpipe/rpipe.yaml >"$root/DEBIAN/conffiles"
	sed "s/@VERSION@/$debian/; s/@ARCH@/$2/; s/@SIZE@/$size/; s/@LIBC@/$(needs_glibc "$1/rpipe")/" tools/deb/control >"$root/DEBIAN/control"
	for script in postinst prerm postrm; do put 755 tools/deb/$script DEBIAN/$script; done
	find "$root" -type d -exec chmod 755 {} +
	dpkg-deb --root-owner-group -Zxz -z3 -b "$root" "$dist/rpipe_${version}_$2.deb" >/dev/null
}

verify() {
	[ -f "$dist/SHA256SUMS" ] || fail "there is no $dist/SHA256SUMS: tools/release.sh package"
	(cd "$dist" && if command -v sha256sum >/dev/null; then sha256sum --quiet -c SHA256SUMS; else shasum -a 256 -c SHA256SUMS >/dev/null; fi) || fail "SHA256SUMS does not agree with the files"
	work="$scratch/verify"
	mkdir "$work"
	for archive in "$dist"/rpipe_"$version"_*.tar.gz; do
		name=$(basename "$archive" .tar.gz)
		tar -C "$work" -xzf "$archive"
		for file in rpipe LICENSE NOTICES README.md; do
			[ -s "$work/$name/$file" ] || fail "$name.tar.gz lacks $file"
		done
		grep -q '"bomFormat": "CycloneDX"' "$dist/$name.cdx.json" || fail "$name has no bill of materials"
		case "$name" in *_linux_*) glibc "$work/$name/rpipe" ;; esac
		if runs "$work/$name/rpipe"; then
			"$work/$name/rpipe" version | grep -q "^rpipe v$version" || fail "$name calls itself $("$work/$name/rpipe" version | head -1)"
			"$work/$name/rpipe" version | grep -qF "DuckDB v$(duckdb)" || fail "$name has no DuckDB $(duckdb): was it built without cgo?"
			ran=yes
		else
			say "$name cannot be run here, and was not"
		fi
	done
	[ -n "${ran:-}" ] || fail "none of the archives runs on this machine"
	for deb in "$dist"/rpipe_"$version"_*.deb; do
		[ -f "$deb" ] || continue
		tools/deb/verify.sh "$deb" "$work"
	done
	say "$version is whole"
}

# needs_glibc FILE is the oldest libc that a program runs with.
needs_glibc() { readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -1; }

# glibc FILE: it must run with the libc of Debian 12, or with GLIBC where that is set.
glibc() {
	most="${GLIBC:-2.36}"
	needs=$(needs_glibc "$1")
	[ "$(printf '%s\n%s\n' "$needs" "$most" | sort -V | tail -1)" = "$most" ] || fail "$1 needs glibc $needs, newer than $most: build it on an older system"
	! readelf -d "$1" | grep -q 'NEEDED.*libstdc++' || fail "$1 needs a libstdc++, which was to be linked in"
}

# try_all has the R package install the release from a web server and run a task with it,
# and apt-get install the .deb into a new system, where there is one to be had.
try_all() {
	[ -f "$dist/SHA256SUMS" ] || fail "there is no $dist/SHA256SUMS: tools/release.sh package"
	work="$scratch/try"
	mkdir "$work"
	R CMD INSTALL --no-docs --library="$work" "$dist/rpipe_$base.tar.gz" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
	(cd r/rpipe/tests/testthat && R_LIBS="$work${R_LIBS:+:$R_LIBS}" RPIPE_DIST="$dist" Rscript --vanilla -e \
		'testthat::test_file("test-install.R", package = "rpipe", load_package = "installed", reporter = "summary", stop_on_failure = TRUE)')
	if [ "$(id -u)" = 0 ] && command -v mmdebstrap >/dev/null; then
		tools/deb/try.sh "$dist/rpipe_${version}_$(go env GOARCH).deb"
	else
		say "the .deb was not installed: that needs root and mmdebstrap"
	fi
}

# reproduce builds this commit in two directories, the second with an empty cache.
reproduce() {
	[ -z "$dirty" ] || fail "files differ from the commit: git status"
	two="$scratch/two"
	for place in a another/place; do
		git clone -q . "$two/$place"
		[ "$place" = a ] || export GOCACHE="$two/cache"
		DIST="$two/$place/dist" "$two/$place/tools/release.sh" build "$(go env GOOS)" "$(go env GOARCH)"
		DIST="$two/$place/dist" "$two/$place/tools/release.sh" package
	done
	diff "$two/a/dist/SHA256SUMS" "$two/another/place/dist/SHA256SUMS" || fail "two builds of $revision differ"
	say "two builds of $revision are the same, in all $(wc -l <"$two/a/dist/SHA256SUMS" | tr -d ' ') files"
}

case "${1:-}" in
version) echo "$version" ;;
check | notes | package | verify | reproduce) "$1" ;;
try) try_all ;;
build) [ $# -ge 3 ] || fail "tools/release.sh build OS ARCH"; shift; build "$@" ;;
snapshot)
	rm -rf "$dist"
	build "$(go env GOOS)" "$(go env GOARCH)"
	package
	verify
	;;
*) fail "say one of: version, check, build OS ARCH, package, notes, verify, try, snapshot, reproduce" ;;
esac
