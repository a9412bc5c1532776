# make test does all the set-up that it needs on a machine with Go and git.

TOOL = go tool -modfile=tools/go.mod

.PHONY: test check lint unit awscli bench fuzz build

test: check lint unit

build:
	CGO_ENABLED=0 go build -trimpath -o bin/stint ./cmd/stint

check: build
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi
	go vet ./...

lint:
	$(TOOL) staticcheck ./...
	$(TOOL) depguard ./...

# Every test that was skipped is listed at the end with its reason.
unit: awscli
	$(TOOL) gotestsum --format pkgname --format-hide-empty-pkg --hide-summary=output -- -race -timeout 15m ./...

# The AWS command line is a Debian package; elsewhere, the tests that need it
# say so and are skipped.
awscli:
	@command -v aws >/dev/null || { command -v apt-get >/dev/null && \
		{ [ "$$(id -u)" = 0 ] || SUDO="sudo -n"; $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq --no-install-recommends awscli; } } || \
		echo "the AWS command line cannot be installed here: its tests will be skipped"

# How long each decision, token and exchange takes.
bench:
	go test -run '^$$' -bench . -benchmem ./...

# Each fuzz target for a while; FUZZTIME=5m for longer.
FUZZTIME ?= 10s
fuzz:
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done
