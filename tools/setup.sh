#!/bin/sh
# Installs what rpipe needs to be built and run, where it is missing: R 3.6 or
# later, plumber, and a C++ compiler. With the argument "test" also what the tests
# use: more R packages, pandoc, Chromium for the pages, and Slurm for workers as its jobs. apt on Debian and Ubuntu, brew
# on macOS; anywhere else it says what to install.
set -eu

packages="plumber"
test=""
if [ "${1:-}" = test ]; then
	packages="$packages bit64 data.table tibble shiny future promises later readr yaml svglite base64enc htmlwidgets rmarkdown digest curl jsonlite cli testthat furrr future.apply foreach iterators"
	test=yes
fi

have_r() { command -v Rscript >/dev/null 2>&1; }
have_cc() { command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1; }
have_packages() {
	Rscript --vanilla -e "for (p in commandArgs(TRUE)) if (!nzchar(system.file(package = p))) quit(status = 1)" $packages >/dev/null 2>&1
}
have_others() {
	[ -z "$test" ] && return 0
	command -v pandoc >/dev/null 2>&1 || return 1
	[ "$(uname -s)" != Linux ] || command -v slurmctld >/dev/null 2>&1 || return 1
	have_browser
}
have_browser() {
	for name in chromium chromium-browser google-chrome; do
		command -v $name >/dev/null 2>&1 && return 0
	done
	[ -d "/Applications/Google Chrome.app" ]
}
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

command -v go >/dev/null 2>&1 || { echo "setup: go is missing: https://go.dev/dl" >&2; exit 1; }
if have_r && have_cc && have_packages && have_others; then exit 0; fi

if command -v apt-get >/dev/null 2>&1; then
	echo "setup: installing R, its packages $packages and a C++ compiler with apt-get"
	export DEBIAN_FRONTEND=noninteractive
	# Ubuntu has no such package; its machines for tests have Chrome.
	browser=""
	have_browser || browser=chromium
	as_root apt-get update -qq
	as_root apt-get install -y -qq --no-install-recommends g++ r-base-core ${test:+$browser pandoc slurmctld slurmd slurm-client} $(printf ' r-cran-%s' $packages) >/dev/null
elif command -v brew >/dev/null 2>&1; then
	have_cc || { echo "setup: run  xcode-select --install  for a C++ compiler" >&2; exit 1; }
	have_r || { echo "setup: installing R with brew"; brew install r; }
	have_others || { brew install pandoc; brew install --cask google-chrome; }
	Rscript -e "install.packages(strsplit('$packages', ' ')[[1]], repos = 'https://cloud.r-project.org')"
else
	echo "setup: install R (3.6 or later), the R packages $packages and a C++ compiler, then run make again" >&2
	exit 1
fi
have_r && have_cc && have_packages || { echo "setup: R, its packages or the compiler are still missing" >&2; exit 1; }
