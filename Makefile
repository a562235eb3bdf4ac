# The two that matter: `make quick` while you work, `make test` before you hand it on.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS   += --no-print-directory

GOLANGCI   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.16.0
SYFT       := github.com/anchore/syft/cmd/syft@v1.52.0

FUZZTIME ?= 3s
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# Tests that miss a part of their proof write their name here; `make test` ends with the list.
export CULVERT_NOT_RUN := $(CURDIR)/.cache/not-run

.PHONY: test quick install fmt vet lint race timings fuzz build bench capacity cross release-check release picture summary

## test: everything, within 15 minutes on two cores; installs what it needs. The tests wait more than they compute, so
## the other systems' builds take what they leave of the processor.
test: install fmt vet lint
	@set -m; nice -n 19 $(MAKE) cross release-config >.cache/builds.log 2>&1 </dev/null & builds=$$!; set +m; \
	trap 'kill -- -$$builds 2>/dev/null || true' EXIT; \
	$(MAKE) race timings fuzz; \
	wait $$builds || { cat .cache/builds.log; exit 1; }; cat .cache/builds.log; \
	$(MAKE) summary

## quick: within a minute
quick: fmt vet
	go test -short -p 8 ./... # the tests wait more than they compute

install:
	@mkdir -p .cache && : > "$(CULVERT_NOT_RUN)"
	@.ci/install
	@nice .ci/tofu >.cache/tofu.log 2>&1 </dev/null & # minutes, once per machine: the tests that need it wait for it

fmt:
	@echo "gofmt"; wrong=$$(gofmt -l .); [ -z "$$wrong" ] || { echo "not formatted:"; echo "$$wrong"; exit 1; }

vet:
	go vet ./...

lint:
	@echo "golangci-lint"; .ci/tool $(GOLANGCI) run

race:
	go test -race -count=1 -timeout 20m -p 3 ./tunnel ./... # the longest first

## timings: the limits on the screen's time and memory, which mean nothing with -race
timings:
	go test -count=1 -run 'Screen(IsQuick|Takes)|FitsIntoMemory' ./ui

## fuzz: every fuzz target for FUZZTIME; make fuzz FUZZTIME=10m looks for more
fuzz:
	@.ci/fuzz $(FUZZTIME)

build:
	CGO_ENABLED=0 go build -trimpath -o bin/culvert .

## bench: culvert beside session-manager-plugin, ten minutes; writes docs/bench.md
bench:
	go run ./bench $(BENCHFLAGS)

## capacity: 500 clients on 20 tasks of the embedded account, for docs/capacity.md
capacity:
	CULVERT_CAPACITY=500x20 go test -v -count=1 -timeout 30m ./bench/capacity

# Whether it compiles is the question; without optimisation the answer comes a third sooner.
QUICKLY := -gcflags='all=-N -l'

## cross: vets and builds for the systems that are released
cross:
	@echo "build this system's"; go build -o /dev/null ./...
	@for target in $(filter-out $(shell go env GOOS)/$(shell go env GOARCH),$(TARGETS)); do \
		echo "build $$target"; \
		export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 GOFLAGS=-trimpath; \
		go vet $(QUICKLY) ./...; \
		go build $(QUICKLY) -buildvcs=false -o /dev/null ./...; \
	done

release-config:
	@echo "goreleaser check"; .ci/tool $(GORELEASER) check --quiet

## release-check: a release without its publication, three minutes once its tools are built; a job of its own in CI
release-check:
	@.ci/release-check $(GORELEASER) $(SYFT)

## release: publishes the tag that is checked out; for .github/workflows/release.yml
release:
	.ci/tool $(GORELEASER) release --clean

## picture: makes docs/picture.svg anew, from the real screen
picture:
	@.ci/picture

summary:
	@if [ -s "$(CULVERT_NOT_RUN)" ]; then \
		echo "make test: passed, but not everything could be run. Not run:"; sort -u "$(CULVERT_NOT_RUN)" | sed 's/^/  /'; \
	else \
		echo "make test: passed, nothing left out: format, vet, lint, tests with -race, fuzz targets ($(FUZZTIME) each), builds for $(words $(TARGETS)) targets, release configuration"; \
	fi
