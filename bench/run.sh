#!/usr/bin/env bash
# Makes the figures of docs/benchmarks.md, -proxy.md and -tasks.md:
#
#   bench/run.sh                     all of them, most of an hour on two idle cores
#   bench/run.sh bulk start          some: roundtrip bulk shared start memory files aggregate
#                                    join fetch enrich s3 commit compact codecs
#                                    proxy proxysleep proxystart predict tasks
#   bench/run.sh -quick              everything once and small, to see that it works
#   bench/run.sh -update [name...]   puts the tables into the pages of docs as well
#
# The tables are printed and kept in out/bench. A peer that is not installed is
# left out, and said so; VALVE, FAUCET and BENTO are where those are that PATH has not.
set -uo pipefail
cd "$(dirname "$0")/.."

quick="" update="" names=()
for arg in "$@"; do
	case $arg in
	-quick) quick=-quick ;;
	-update) update=1 ;;
	-*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	*) names+=("$arg") ;;
	esac
done
[ ${#names[@]} -gt 0 ] || names=(roundtrip bulk shared start memory files aggregate join fetch enrich s3 commit compact codecs proxy proxysleep proxystart predict tasks)
if [ -n "$quick" ] && [ -n "$update" ]; then
	echo "bench: the figures of a quick run are for nobody to read: leave out -update" >&2
	exit 2
fi

out=out/bench
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rpipe-bench
mkdir -p "$out" "$cache"
failed=""

peers="furrr plumber data.table tibble curl httr jsonlite"
missing=$(Rscript --vanilla -e "for (p in commandArgs(TRUE)) if (!nzchar(system.file(package = p))) cat(' r-cran-', tolower(p), sep = '')" $peers 2>/dev/null)
[ -z "$missing" ] || echo "bench: peers are missing; on Debian and Ubuntu:  apt-get install$missing" >&2

# build makes the program that most of them measure.
build() { CGO_ENABLED=1 go build -o bin/rpipe ./cmd/rpipe; }

# python makes a Python with the other peers, once, and prints its path.
python() {
	local venv=$cache/venv
	if ! "$venv/bin/python" -c 'import duckdb, pyarrow' 2>/dev/null; then
		{ python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 pyarrow==26.0.1; } >&2 ||
			echo "bench: duckdb and pyarrow could not be installed with pip" >&2
	fi
	echo "$venv/bin/python"
}

machine() {
	local cpu memory
	cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
	memory=$(awk '/^MemTotal/ { printf "%.0f GB of memory, ", $2 / 1e6 }' /proc/meminfo 2>/dev/null)
	echo "Taken on $(date -u +%F) with $(getconf _NPROCESSORS_ONLN) cores${cpu:+ ($cpu)}, $memory$(uname -sr | cut -d- -f1),"
	echo "$(go version | cut -d' ' -f3), $(Rscript --version 2>&1 | grep -o 'version [0-9.]*' | sed 's/version/R/'),"
	Rscript --vanilla -e 'p <- Filter(function(p) nzchar(system.file(package = p)), c("future", commandArgs(TRUE))); cat(paste(p, vapply(p, function(p) format(packageVersion(p)), "")), sep = ", "); cat(".\n")' $peers
}

# codecs runs the micro-benchmarks of the packages and makes a table of them.
codecs() {
	local time=300ms
	[ -z "$quick" ] || time=1x
	echo "| benchmark | a run | figures |"
	echo "| --- | ---: | --- |"
	bench_package() {
		go test -run '^$' -bench "$2" -benchtime "$time" "./$1" | awk -v package="$1" '
			/^Benchmark/ {
				sub(/^Benchmark/, "", $1); sub(/-[0-9]+$/, "", $1)
				figures = ""
				for (i = 5; i < NF; i += 2)
					if ($(i + 1) !~ /^(B|allocs)\/op$/) figures = figures (figures == "" ? "" : ", ") $i " " $(i + 1)
				ns = $3; unit = "ns"
				if (ns >= 1e6) { ns /= 1e6; unit = "ms" } else if (ns >= 1e3) { ns /= 1e3; unit = "µs" }
				printf "| `%s` %s | %.4g %s | %s |\n", package, $1, ns, unit, figures
			}'
	}
	bench_package rdata '^Benchmark(Memcpy|Encoder|UnmarshalItem|UnmarshalXDR)$'
	bench_package frame '^Benchmark(AppendR|FromR)$'
	bench_package rpool '^Benchmark(Do|RoundTrip|RoundTrips|Fork)$'
	bench_package sources '^Benchmark(CSV|NDJSON|Parquet)$/.*'
	bench_package stages '^Benchmark(Filter|Derive)$'
	bench_package stages/duckdb '^Benchmark(Condition|Columns|WholeRowsPerBatch)$'
	bench_package sinks '^BenchmarkParquet$/^(zstd|snappy)$'
}

# splice puts a table between the lines that mark its place.
splice() {
	local page
	for page in docs/benchmarks*.md; do
		awk -v name="$1" -v table="$2" '
			$0 == "<!-- end " name " -->" { skip = 0 }
			!skip { print }
			$0 == "<!-- begin " name " -->" { skip = 1; while ((getline line < table) > 0) print line; close(table) }
		' "$page" >"$out/page.md" && mv "$out/page.md" "$page"
	done
}

for name in "${names[@]}"; do
	echo "== $name" >&2
	case $name in
	codecs) codecs ;;
	files) build && go run ./bench/files -rounds 5 $quick -python "$(python)" ;;
	aggregate) build && go run ./bench/aggregate -rounds 5 $quick ;;
	join) build && go run ./bench/join -rounds 3 $quick -python "$(python)" ;;
	fetch) build && go run ./bench/fetch -rounds 3 $quick ;;
	s3) build && go run ./bench/s3 -rounds 5 $quick ;;
	commit) build && go run ./bench/commit -rounds 5 $quick ;;
	compact) build && go run ./bench/compact -rounds 3 $quick ;;
	# rpipe's workers step back to nice 10 for bulk work: so must the peers, or
	# they win what else the machine has to do.
	bulk) nice -n 10 go run ./bench/bulk $quick ;;
	enrich) build && nice -n 10 go run ./bench/enrich -rounds 3 $quick -bento "${BENTO:-bento}" ;;
	proxy | proxystart) build && go run "./bench/$name" $quick -valve "${VALVE:-valve}" -faucet "${FAUCET:-faucet}" ;;
	proxysleep) build && go run ./bench/proxysleep -rounds 3 $quick -valve "${VALVE:-valve}" -faucet "${FAUCET:-faucet}" ;;
	tasks) build && go run ./bench/tasks -rounds 5 $quick ;;
	predict) build && go run ./bench/predict -rounds 3 $quick ;;
	*) go run "./bench/$name" $quick ;;
	esac | tee "$out/$name.md"
	[ "${PIPESTATUS[0]}" = 0 ] || { echo "bench: $name failed" >&2; failed=1; continue; }
	[ -z "$update" ] || splice "$name" "$out/$name.md"
done
machine | tee "$out/machine.md"
[ -z "$update" ] || splice machine "$out/machine.md"
[ -z "$failed" ]
