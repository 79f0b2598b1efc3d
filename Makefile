# What each target does: make help. PYTHON names the Python that the virtual environments are made of.
PYTHON ?= python3

VENV := .venv/bin
STAMPS := .local/stamps
LOGS := .local/logs
SITE_SOURCES := $(shell find compositions/src compositions/scripts -type f 2>/dev/null) \
	compositions/package.json compositions/tsconfig.json
TEMPLATES := $(shell find renderhub exports notifications -name '*.html')

# What of the tests asks something of the database.
FACES_THE_DATABASE := -m "database or not slow" tests/test_permissions.py tests/databases tests/exports tests/notifications tests/renderhub

.DEFAULT_GOAL := help
.PHONY: help install demo run test test-databases test-fast chaos schema bench \
	check check-python check-types check-schema check-typescript

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

demo: install ## Make a video with the whole system, from request to file
	@$(VENV)/python -m localcloud demo

run: install ## Keep the whole system up at http://localhost:8000
	@$(VENV)/python -m localcloud run

test: install ## Run all tests on SQLite, with coverage, and those that face the database on the others
	@status=0; \
	$(VENV)/pytest --cov --cov-report=term-missing || status=1; \
	$(VENV)/python -m tests.databases --on postgresql --on mongodb --together -q -rs $(FACES_THE_DATABASE) || status=1; \
	exit $$status

test-databases: install ## Run all tests on SQLite, PostgreSQL and MongoDB (ON=name for one)
	@$(VENV)/python -m tests.databases $(ON:%=--on %) -rs

test-fast: $(STAMPS)/venv ## Run the tests that take no more than moments
	@$(VENV)/pytest -m "not slow"

chaos: install ## Break everything while 2,000 exports run, and count what was kept (CHAOS_DATABASE=, _EXPORTS=, _SEED=)
	@$(VENV)/python -m tests.chaos

check: ## Run all that CI runs besides the tests
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) check-types check-python check-schema check-typescript

check-python: $(STAMPS)/venv
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/lint-imports
	$(VENV)/cfn-lint infra/template.yaml
	$(if $(TEMPLATES),$(VENV)/djlint --lint --quiet $(TEMPLATES))

check-types: $(STAMPS)/venv
	$(VENV)/mypy .

check-schema: $(STAMPS)/venv
	$(VENV)/python manage.py makemigrations --check --dry-run
	@mkdir -p build
	$(call write_schema,build/openapi.yaml)
	@diff -u docs/openapi.yaml build/openapi.yaml || { \
		echo "docs/openapi.yaml is not what the code says; make schema writes it anew"; exit 1; }

check-typescript: compositions/node_modules/.package-lock.json localcloud/renderer/node_modules/.package-lock.json \
		clients/typescript/node_modules/.package-lock.json
	npm run --silent --prefix compositions typecheck
	npm run --silent --prefix localcloud/renderer typecheck
	npm run --silent --prefix clients/typescript typecheck
	compositions/node_modules/.bin/tsc --project renderhub/jsconfig.json

schema: $(STAMPS)/venv ## Write docs/openapi.yaml anew
	$(call write_schema,docs/openapi.yaml)

write_schema = $(VENV)/python manage.py spectacular --validate --fail-on-warn --file $(1)

bench: install ## Measure what the whole system adds to a bare render
	@$(VENV)/python -m benchmarks.export

# --- What is installed, each once and again when its list changes ---------------------------------------------

# At the same time, since each waits for the network most of the time.
install:
	@$(MAKE) --silent --no-print-directory --jobs=4 $(STAMPS)/venv $(STAMPS)/ministack $(STAMPS)/secantus build/site/index.html \
		localcloud/renderer/node_modules/.package-lock.json clients/typescript/node_modules/.package-lock.json \
		build/lambda_worker.zip

# $(call step,what is done,name of the log,command)
define step
@mkdir -p $(LOGS) $(STAMPS)
@echo "$(1) …"; started=$$(date +%s); \
if { $(3); } >$(LOGS)/$(2).log 2>&1; then echo "$(1): done in $$(($$(date +%s) - started)) s"; \
else tail -n 20 $(LOGS)/$(2).log; echo "$(1) failed; its log: $(LOGS)/$(2).log"; exit 1; fi
endef

$(STAMPS)/prerequisites: localcloud/prerequisites.py
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed: no $(PYTHON) was found"; exit 1; }
	@$(PYTHON) -m localcloud.prerequisites
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv: requirements.txt requirements-dev.txt | $(STAMPS)/prerequisites
	$(call step,Installing Python packages,install-python,\
		$(PYTHON) -m venv .venv && $(VENV)/pip install --disable-pip-version-check -r requirements-dev.txt)
	@touch $@

$(STAMPS)/ministack: localcloud/ministack-requirements.txt | $(STAMPS)/prerequisites
	$(call step,Installing MiniStack,install-ministack,\
		$(PYTHON) -m venv .local/ministack && \
		.local/ministack/bin/pip install --disable-pip-version-check -r $<)
	@touch $@

# A server that speaks MongoDB's protocol, for the tests alone.
$(STAMPS)/secantus: tests/databases/requirements.txt | $(STAMPS)/prerequisites
	$(call step,Installing SecantusDB,install-secantus,\
		$(PYTHON) -m venv .local/secantus && \
		.local/secantus/bin/pip install --disable-pip-version-check -r $<)
	@touch $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json | $(STAMPS)/prerequisites
	$(call step,Installing Node packages of $*,install-node-$(notdir $*),\
		npm ci --prefix $* --no-audit --no-fund)
	@touch $@

build/site/index.html: $(SITE_SOURCES) compositions/node_modules/.package-lock.json
	$(call step,Bundling the sample site,bundle,npm run --prefix compositions bundle)
	@touch $@

build/lambda_worker.zip: $(wildcard lambda_worker/*.py) lambda_worker/requirements.txt infra/package_worker.py \
		| $(STAMPS)/venv
	$(call step,Packaging the worker,package-worker,$(VENV)/python infra/package_worker.py)
	@touch $@
