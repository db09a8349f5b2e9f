# make demo   sets everything up and scores 336,776 flights with an R model
# make test   sets everything up and runs all tests
# make help   the rest

GO      ?= go
BIN     := bin/rpipe
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.release=$(VERSION)
# The SQL engine is C++ that is linked in: without cgo, filter and derive are missing.
export CGO_ENABLED := 1

.PHONY: help demo build setup setup-test servers test test-r test-long soak race lint vet vulncheck bench docs fuzz release-snapshot release-check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: build ## set everything up, and run the example
	$(BIN) run configs/examples/flights.yaml --head 5

build: setup ## build bin/rpipe
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/rpipe
	@$(BIN) version | grep -q 'DuckDB' || { echo "make: $(BIN) was built without cgo: install a C++ compiler" >&2; exit 1; }

setup: ## install R, plumber and a C++ compiler where they are missing (apt or brew)
	@tools/setup.sh

setup-test: ## install what the tests use besides: R packages and Chromium
	@tools/setup.sh test

servers: ## build the S3 server of the tests into the user's cache, once (a minute of two cores)
	@echo "building the S3 server of the tests, unless it is there"
	@$(GO) run ./internal/s3test/server

# Tests that build the program and kill it depend on all of its sources, which go test does
# not know: it would take their results from its cache.
fresh = -count=1

test: setup-test build servers ## all tests, with the real R; under 15 minutes
	$(GO) test $(fresh) -timeout 15m ./...
	tools/testr.sh

test-r: setup-test build ## the tests of the R package alone
	tools/testr.sh

test-long: setup-test build servers ## the long tests as well: many crashes, large inputs
	@$(GO) run ./internal/s3test/server rclone
	$(GO) test $(fresh) -timeout 60m -tags long ./...

soak: setup-test ## a whole rpipe serve for a minute, while everything goes wrong
	$(GO) test $(fresh) -tags soak -timeout 20m -v ./internal/soak/estate

race: setup-test servers ## all tests under the race detector
	$(GO) test $(fresh) -race -timeout 30m ./...

vet: ## go vet, also for the other systems
	$(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin $(GO) vet ./...
	CGO_ENABLED=0 GOOS=windows $(GO) build -o /dev/null ./cmd/rpipe

lint: vet ## gofmt, go vet, staticcheck, and the workflows of GitHub
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; echo "make: gofmt -w these" >&2; exit 1; }
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(GO) run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

vulncheck: ## known vulnerabilities in what is called, by govulncheck
	@tools/vulncheck.sh

bench: build ## every figure of docs/benchmarks.md
	bench/run.sh

docs: setup-test ## write the generated pages and golden files again
	$(GO) test ./internal/repo -run 'Reference|Schema' -update
	$(GO) test ./configs -update
	$(GO) test ./cmd/rpipe -run Script -update

fuzz: ## each fuzz target for a minute
	@tools/fuzz.sh 60s

release-snapshot: setup ## the files of a release for this machine, in dist
	tools/release.sh snapshot

release-check: setup-test release-snapshot ## also: rp_install() installs them, and two builds of the commit are the same
	tools/release.sh try
	tools/release.sh reproduce

clean: ## remove what was built
	rm -rf bin dist out
