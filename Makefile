# `make test` is the one test command; `make check` is what CI runs.

CARGO ?= cargo
TOOLS := .tools/python/bin
# How long a benchmark may go on beginning new rounds.
SECONDS ?= 600
# Which of the Dockerfile's images are built and tried: model-container, gatehouse.
IMAGE_TARGETS ?= model-container

.PHONY: test check image-test tools onnxruntime fmt clippy doc deny
.PHONY: parity-weka parity-legacy parity-transformer moderate-alexa report-screenshot
.PHONY: bench-cold-start bench-container bench-router bench-capture bench-replay bench-diff
.PHONY: chaos chaos-drain chaos-worker chaos-host chaos-update chaos-postgres chaos-replay runbook
.PHONY: policy-contention policy-scale property-plans many-endpoints deploy-seconds soak schemathesis fuzz

## test: installs what the tests need and is missing, then runs them all
test: tools
	$(CARGO) test --workspace --locked --no-fail-fast
	tests/image $(IMAGE_TARGETS)

## check: everything that CI checks
check: fmt clippy doc deny test

tools:
	tests/install-tools

## onnxruntime: the library that ONNX models need, into .tools/onnxruntime
onnxruntime:
	tests/install-tools onnxruntime

## image-test: the images built and run; a part of `make test`
image-test:
	tests/image $(IMAGE_TARGETS)

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

deny: tools
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(CARGO) deny --locked check bans licenses sources

## parity-weka: every text message scored by us and by WEKA, compared bit by bit
parity-weka:
	tests/claims/weka-bits

## parity-legacy: 20,000 calls of the legacy Java server, captured and replayed against five endpoints
parity-legacy:
	tests/claims/parity-legacy

## parity-transformer: a thousand texts through a transformer and a TF-IDF model, ours and Python's
parity-transformer:
	tests/claims/transformer

## moderate-alexa: 3,150 product reviews through the whole platform
moderate-alexa:
	tests/claims/moderate-alexa

## bench-cold-start: a stopped endpoint and the Java server, in turns, to their first answers
bench-cold-start:
	tests/claims/cold-start --seconds $(SECONDS)

## bench-container: the container beside other servers on one core, its figures as a table
bench-container:
	tests/claims/bench-container --seconds $(SECONDS)

## bench-router: the router and its peers asking ten models a review, on one core, as a table
bench-router:
	tests/claims/bench-router --seconds $(SECONDS)

## bench-diff: ten million recorded pairs compared in Parquet, and half a million beside datacompy
bench-diff:
	tests/claims/bench-diff --seconds $(SECONDS)

## bench-capture: calls to a model with and without a recording proxy before it, as a table
bench-capture:
	tests/claims/capture-overhead --seconds $(SECONDS)

## bench-replay: the replay beside wrk and oha, server and load on a core each, as a table
bench-replay: SECONDS = 120
bench-replay:
	tests/claims/bench-replay --seconds $(SECONDS)

## chaos-replay: one replay killed fifty times, and the report of an undisturbed one
chaos-replay:
	tests/claims/replay-kills

## chaos: endpoints that hang, fail, throttle and sleep, and every verdict in time and as when calm
chaos: SECONDS = 120
chaos:
	tests/claims/router-chaos --strict --seconds $(SECONDS)

## chaos-drain: SIGTERM under load, twenty times, and not one request lost
chaos-drain:
	tests/claims/drain --seconds $(SECONDS)

## chaos-worker: workers killed every second under load, every answer and every ping checked
chaos-worker:
	tests/claims/worker-chaos --seconds $(SECONDS)

## chaos-host: containers and the host itself killed under load, and nothing created lost
chaos-host:
	tests/claims/host-chaos --seconds $(SECONDS)

## chaos-update: twenty updates of an endpoint under 500 requests a second, and not one failed
chaos-update:
	tests/claims/update-under-load --seconds $(SECONDS)

## chaos-postgres: PostgreSQL restarted, cut off and stalled under load, and no decision lost
chaos-postgres:
	tests/install-tools postgres
	tests/claims/chaos-postgres --seconds $(SECONDS)

## runbook: every alert of examples/alerts.yml brought about, and ended by docs/runbook.md's commands
runbook:
	tests/install-tools prometheus postgres jq
	tests/claims/runbook

## policy-contention: 32 writers and 200 readers of the options on both databases, a minute each
policy-contention: SECONDS = 60
policy-contention:
	tests/install-tools postgres
	tests/claims/policy-contention --seconds $(SECONDS)

## many-endpoints: 5,000 endpoints on one host, 200 of them called at random
many-endpoints:
	tests/claims/many-endpoints --seconds $(SECONDS)

## deploy-seconds: a WEKA file on its way to the first verdict that used it
deploy-seconds:
	tests/claims/deploy-seconds --seconds $(SECONDS)

## soak: a million requests, and the memory that they leave behind
soak:
	tests/claims/soak --seconds $(SECONDS)

## schemathesis: all that the router's OpenAPI document allows and forbids, asked and checked
schemathesis:
	tests/install-tools schemathesis
	tests/claims/schemathesis --seconds $(SECONDS)

## report-screenshot: a faulty target's report in a browser, and its picture in docs
report-screenshot:
	tests/install-tools chromium
	tests/claims/report-screenshot

## policy-scale: 10,000 clients, 5,000 models and 50,000 scopes on one router
policy-scale:
	tests/claims/policy-scale

## property-plans: a million verdicts, of compiled plans and of a naive interpreter of the options
property-plans:
	PROPERTY_CASES=1000000 $(CARGO) test --release --locked -p router --lib -- --nocapture naive_interpreter

## fuzz: every reader of what comes from outside, for SECONDS each
fuzz:
	tests/install-tools fuzz
	fuzz/run $(SECONDS)
