# `make quick` while you work, `make test` before you hand it on, `make check` before it is merged.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS   += --no-print-directory

GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GORELEASER  := github.com/goreleaser/goreleaser/v2@v2.16.0
SYFT        := github.com/anchore/syft/cmd/syft@v1.52.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

FUZZTIME ?= 10s
RUNS     ?= 200
SEEDS    ?= 2000
SCHEDULES ?= 100000
FROM     ?= 0
PART     ?= 5000
SOCKETS  ?= $(if $(SEED),0,8)
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# What misses a part of its proof writes its name here; `make test` and `make check` end with the list.
NOT_RUN := $(CURDIR)/.cache/not-run
test check: export CULVERT_NOT_RUN := $(NOT_RUN)

# say: a line for each step, with the time of day.
say := printf '\n%(%T)T  %s\n' -1

.PHONY: test check quick install fmt vet short race race-tunnel race-stories race-others seeds swarm schedules timings lint cross fuzz judges release-config \
	vulnerabilities sights build rename bench capacity release-check release-commit release film mutants

## test: does it work here? All tests; ten minutes on two cores with empty caches, 15 at the most. Builds no program of
## others but the session-manager-plugin, whose source is among culvert's own modules. What `short` runs is part of `race`.
test:
	@mkdir -p .cache && : >"$(NOT_RUN)"
	@for step in fmt install vet race seeds timings; do $(MAKE) $$step; done
	@$(say) "make test: passed: format, vet, all tests with the race detector, the limits of the screen's time and memory. Not run:"
	@sort -u "$(NOT_RUN)" | sed 's/^/  /'
	@echo "  make check: golangci-lint, builds for $(words $(TARGETS)) systems, fuzzing, the release configuration"

## check: all the rest, which is not about this machine; half an hour on two cores with empty caches, as linters,
## OpenTofu and goreleaser are built from source.
check:
	@mkdir -p .cache && : >"$(NOT_RUN)"
	@for step in install lint cross fuzz judges release-config; do $(MAKE) $$step; done
	@$(say) "make check: passed: lint, builds for $(words $(TARGETS)) systems, fuzz targets ($(FUZZTIME) each), Terraform, the release configuration. Not run:"
	@sort -u "$(NOT_RUN)" | sed 's/^/  /'
	@echo "  make release-check: a whole release, known vulnerabilities"
	@echo "  make bench, make capacity: measurements"

## quick: a minute
quick: fmt vet short

install:
	@$(say) "install: programs that culvert is proved with, as Debian packages, where they are missing"
	@.ci/install

fmt:
	@$(say) "gofmt: is everything formatted?"
	@wrong=$$(gofmt -l .); [ -z "$$wrong" ] || { echo "not formatted:"; echo "$$wrong"; exit 1; }

vet:
	@$(say) "go vet: downloads the modules and compiles them, which takes a minute or two the first time"
	@go vet ./...

short:
	@$(say) "go test -short: the tests that need nothing else and take no time"
	@go test -short -vet=off -p 8 -parallel 4 ./... # they wait more than they compute

# More of them at a time than there are processors, as most of them wait; of many more each would wait for the processors, too.
RACE := go test -race -count=1 -vet=off -timeout 20m

## race: all tests with the race detector. What waits the longest has a job of its own, so that the processors are busy to the
## end: the engine, the stories beside the bench, and the others, which print as they end.
race:
	@$(say) "go build -race: the same again for the race detector, which takes two minutes the first time"
	@go build -race ./...
	@$(say) "go test -race: all tests, some minutes; tunnel, and the stories beside the bench, run the longest, beside all others"
	@$(MAKE) -j3 -k race-tunnel race-stories race-others

race-tunnel:
	@$(RACE) -parallel 5 ./tunnel

race-stories:
	@$(RACE) -p 2 -parallel 5 . ./bench

race-others:
	@$(RACE) -p 2 -parallel 3 $$(go list ./ui/... ./internal/... ./aws/... ./... | grep -vxE "$$(go list -m)(/tunnel|/bench)?")

## seeds: what the race detector would slow down too much: 200 seeds of the swarm, and that it finds what it is for
seeds:
	@$(say) "go test: 200 seeds of tunnels, clients and mishaps in virtual time, and seven defects put back"
	@go test -count=1 -vet=off -timeout 10m ./internal/swarm

## swarm: SEEDS seeds in virtual time, some minutes, and some against real sockets; SEED=n (and ONLY=parts) replays one
swarm:
	SEEDS=$(SEEDS) SEED=$(SEED) ONLY=$(ONLY) SOCKETS=$(SOCKETS) go test -count=1 -timeout 2h -run '^TestSwarm(OnSockets)?$$' -v ./internal/swarm | grep -v '^ *=== \|--- PASS: TestSwarm/'

## schedules: all random schedules of the relay's protocol from FROM up to SCHEDULES in virtual time, some minutes; in parts of PART,
## each a process, so that FROM=60000 goes on where that was broken off. CULVERT_SCHEDULES=n go test ./tunnel/bond replays one
schedules:
	@mkdir -p .cache && go test -c -o .cache/schedules.test ./tunnel/bond
	@for ((first = $(FROM); first < $(SCHEDULES); first += $(PART))); do \
		count=$$(($(SCHEDULES) - first < $(PART) ? $(SCHEDULES) - first : $(PART))); \
		printf '%(%T)T  from %d on: ' -1 "$$first"; \
		CULVERT_SCHEDULES=$$first+$$count .cache/schedules.test -test.run '^TestStreamsAreWholeWhateverBecomesOfStrands$$' -test.timeout 2h -test.v >.cache/schedules.txt 2>&1 || \
			{ echo failed; grep -vE '^ *(=== |--- PASS)' .cache/schedules.txt; exit 1; }; \
		sed -n 's/.*_test.go:[0-9]*: //p' .cache/schedules.txt; \
	done

## timings: the limits on the screen's time and on memory, which mean nothing with -race
timings:
	@$(say) "go test: the limits of the screen's time and memory and of the engine's, without the race detector and with the machine to itself"
	@go test -count=1 -vet=off -run 'Screen(IsQuick|Takes)|FitsIntoMemory|HeapBudgets' -p 1 ./ui/screen ./tunnel

lint:
	@$(say) "golangci-lint: every linter but those that .golangci.yml gives a reason against"
	@.ci/tool $(GOLANGCI) run

## fuzz: every fuzz target for FUZZTIME; make fuzz FUZZTIME=10m looks for more
fuzz:
	@$(say) "go test -fuzz: every fuzz target for $(FUZZTIME)"
	@.ci/fuzz $(FUZZTIME)

## sights: what is never ready, what moves and what is well, RUNS times each on a machine that is kept busy; five minutes
sights:
	RUNS=$(RUNS) go test -v -count=1 -timeout 1h -run 'TestSightsAreNeverFalse|TestReadyComesWithin' ./ui/headless

build:
	CGO_ENABLED=0 go build -trimpath -o bin/culvert .

## rename: make rename OWNER=acme, for whoever publishes culvert from a repository of acme's (REPOSITORY=… for another name):
## module path, action, image, packages and pages follow
rename:
	@$(say) "rename: what names the repository"
	@.ci/rename

## bench: culvert beside session-manager-plugin and through a relay, about forty minutes; writes docs/bench.md, appends to docs/bench-history.tsv and
## fails where something was lost against earlier runs
bench:
	go run ./bench $(BENCHFLAGS)

## capacity: 500 clients on 20 tasks of the embedded account, for docs/capacity.md
capacity:
	CULVERT_CAPACITY=500x20 go test -v -count=1 -timeout 30m ./bench/capacity

# Whether it compiles is the question; without optimisation the answer comes a third sooner.
QUICKLY := -gcflags='all=-N -l'

## cross: vets and builds for the systems that are released
cross:
	@$(say) "go build: this system"; go build -o /dev/null ./...
	@for target in $(filter-out $(shell go env GOOS)/$(shell go env GOARCH),$(TARGETS)); do \
		$(say) "go vet, go build: $$target"; \
		export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 GOFLAGS=-trimpath; \
		go vet $(QUICKLY) ./...; \
		go build $(QUICKLY) -buildvcs=false -o /dev/null ./...; \
	done

## judges: the tests whose judge is a linter or OpenTofu; the others of their packages run once more
judges:
	@$(say) "OpenTofu: built from source, which takes some minutes the first time"
	@.ci/tofu || true # the tests say what becomes of that
	@$(say) "go test: the tests that make test left out, with OpenTofu, actionlint, cfn-lint, govulncheck"
	@CULVERT_CHECK=1 $(RACE) -parallel 4 ./internal/need $$(grep -rlE --include='*_test.go' 'need\.(CheckOnly|Terraforms|Tool)\(' . | xargs -n1 dirname | sort -u)

release-config:
	@$(say) "goreleaser check: the release configuration"
	@.ci/tool $(GORELEASER) check --quiet

## release-check: a release without its publication, three minutes once its tools are built; a job of its own in CI
release-check:
	@.ci/release-check $(GORELEASER) $(SYFT) $(GOVULNCHECK)

## vulnerabilities: what the Go vulnerability database knows of culvert's modules and calls; a part of release-check
vulnerabilities:
	@.ci/vulnerabilities $(GOVULNCHECK)

## release-commit: make release-commit VERSION=1.4.0 commits the checksums of what is checked out, and tags that
release-commit:
	@.ci/release-commit $(GORELEASER) $(VERSION)

## release: publishes the tag that is checked out; for .github/workflows/release.yml
release:
	.ci/release-commit $(GORELEASER) verify
	env $$(.ci/release-source) .ci/tool $(GORELEASER) release --clean

## mutants: breaks 230 lines of the tunnel, AWS and headless packages, one at a time, and looks whether a test notices; an hour
## on a quiet machine. make mutants MUTANTS='-seed 2 -packages ./tunnel=20' draws others
mutants:
	@mkdir -p .cache
	go run ./internal/mutants $(MUTANTS)

## film: makes docs/film.svg anew from the real screen, and the stills of docs/screens from its model
film:
	go run ./internal/film/readme
	go test -count=1 ./ui/screen -run TestStills -update
