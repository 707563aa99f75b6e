# make demo               train a character LSTM on real text and draw it; everything goes to out/
# make demo TEXT=my.txt   the same on a text of your own
# make test               lint, type-check, and test with compiled plans, without, and on a stand-in for a GPU
# make test-gpu           and on an NVIDIA GPU (GPU_EXTRA=cuda12 for a driver of CUDA 12)
# make check-gpu          all that a first run on a GPU has to show, in ten minutes, with a table of what passed in out/
# make check-gpu PYTHON_GPU=python3 STAGES='benchmark suite'   with an interpreter that has CuPy already; only these
# make data               fetch the data sets of the examples: packages into .venv, archives into data/
# make examples           run every example to its figure (half an hour), and make docs/examples.md of what they reach
# make bench              time training steps beside PyTorch and JAX (a large download, then a quarter of an hour)
# make bench BENCH="--quick --sizes S1 S2"   only some of it; writes no report
# make bench-gpu          the same on an NVIDIA GPU, beside cuDNN too (a large download, then ten minutes)
# make bench-gpu PYTHON_GPU=python3   with an interpreter that has CuPy, PyTorch and JAX already
# make PYTHON=python3.12 ...   choose the interpreter (3.10 or later)

PYTHON ?= python3
TEXT ?=
OUT ?= out
BENCH ?=
GPU_EXTRA ?= cuda13
TESTED = .[test,jit]
ON_GPU = .[jit,$(GPU_EXTRA)]
# Tests for which it makes no difference how plans are run (of pictures, pages, data, files, the command line, kernels
# for a GPU), and those that run plans both ways, or one way only, by themselves.
UNPLANNED = alike attentionview attentionview_geometry attentionview_graph attentionview_heat cellview crossings \
	dashes declared_pictures draw_options equation_lines fading fading_page flow flow_mistakes geometry golden hatched \
	handoff insides latex page page_browser page_numbers page_walk pictures public ranges readable told_apart typeset viz viz_files writers \
	cli contract data data_files data_page data_sequences data_vocabulary datasets examples example_parts files \
	from_numpy generation_page keywords layers pages_of_models python_mistakes pytorch_weights recipes_page reprs \
	backends backends_arrays backends_models check_gpu cuda_batched cuda_chains cuda_golden cuda_kernels cuda_loops \
	cuda_products cuda_programs cuda_races cuda_random cuda_scatter cupy_ptx examples_standin gpu standin \
	standin_graphs standin_kernels standin_products \
	batched compiled compiled_classes compiled_programs footprint forks fuzz graphs_all large_graphs ops profile random_models scans strips

# Tests that go through every way in which plans meet CuPy, done on its stand-in, which needs a C++ compiler.
ON_STANDIN = clipping corners draws draws_beams draws_laws draws_training gradient graphs graphs_combine graphs_decoders \
	graphs_grids graphs_loops optim optim_in_one text

# Editable, so that a changed source needs no new install.
define new_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "tinygrad_rnn needs Python 3.10 or later; try make PYTHON=python3.12")'
	@echo "making $(1) (the first time takes a minute)"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
	@touch $(1)/.ready
endef

.PHONY: help demo data examples pictures test test-gpu check-gpu lint bench bench-gpu clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

.venv/.ready: pyproject.toml
	$(call new_venv,.venv,--editable '.[jit]')

.venv-test/.ready: pyproject.toml
	$(call new_venv,.venv-test,--editable '$(TESTED)')

demo: .venv/.ready
	.venv/bin/tinygrad-rnn train $(if $(TEXT),'$(TEXT)') --out '$(OUT)'

# vaderSentiment's rated sentences are in its source archive only, and aeon itself asks for an older NumPy.
data: .venv/.ready
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[jit,examples]'
	.venv/bin/python -m pip download --quiet --no-deps --dest data --no-binary vaderSentiment vaderSentiment==3.3.2
	.venv/bin/python -m pip download --quiet --no-deps --dest data --only-binary :all: --python-version 3.12 aeon==1.6.0

examples: data
	.venv/bin/python -m tinygrad_rnn.examples.table --run

# The pictures that README.md, docs/diagrams.md and docs/models show.
pictures: .venv/.ready
	.venv/bin/python examples/lstm_equations.py docs/pictures
	.venv/bin/python examples/diagrams.py docs/pictures
	.venv/bin/python examples/gradient_flow.py docs/pictures
	.venv/bin/tinygrad-rnn gallery -o out/gallery --sheet docs/gallery.png
	.venv/bin/tinygrad-rnn models --pages docs/models

lint: .venv-test/.ready
	.venv-test/bin/ruff check
	.venv-test/bin/mypy

test: lint
	TINYGRAD_RNN_CACHE=$(CURDIR)/.venv-test/kernels .venv-test/bin/python -m pytest -q -n 2
	TINYGRAD_RNN_JIT=0 .venv-test/bin/python -m pytest -q -n 2 $(UNPLANNED:%=--ignore=tests/test_%.py)
	@command -v g++ >/dev/null || echo "there is no g++: nothing is tested on the stand-in for CuPy"
	! command -v g++ >/dev/null || .venv-test/bin/python -m pytest -q -n 2 --standin $(ON_STANDIN:%=tests/test_%.py)

# An environment of its own: in .venv-test CuPy for CUDA 12 would compile with the tests' compiler of CUDA 13.
.venv-gpu/.ready: pyproject.toml
	$(call new_venv,.venv-gpu,--editable '$(ON_GPU)' pytest pytest-xdist hypothesis)

test-gpu: .venv-gpu/.ready
	.venv-gpu/bin/python -m pytest -q -m gpu

check-gpu: $(if $(PYTHON_GPU),,.venv-gpu/.ready)
	$(or $(PYTHON_GPU),.venv-gpu/bin/python) tests/check_gpu.py --out '$(OUT)' $(if $(STAGES),--stages $(STAGES))

benchmarks/.venv/.ready: benchmarks/requirements.txt pyproject.toml
	$(call new_venv,benchmarks/.venv,--requirement benchmarks/requirements.txt)

# A shell may ask OpenBLAS for the code of an older processor; measured is what this one can do.
bench: benchmarks/.venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE benchmarks/.venv/bin/python -m benchmarks $(BENCH)

benchmarks/.venv-gpu/.ready: benchmarks/requirements-gpu.txt pyproject.toml
	$(call new_venv,benchmarks/.venv-gpu,--requirement benchmarks/requirements-gpu.txt)

bench-gpu: $(if $(PYTHON_GPU),,benchmarks/.venv-gpu/.ready)
	$(or $(PYTHON_GPU),benchmarks/.venv-gpu/bin/python) -m benchmarks.gpu $(BENCH)

clean:
	rm -rf .venv .venv-test .venv-gpu benchmarks/.venv benchmarks/.venv-gpu
	rm -rf out build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
