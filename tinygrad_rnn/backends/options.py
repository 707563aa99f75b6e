"""The options --backend and --precision, as the command line and every example have them."""

from __future__ import annotations

import argparse
from typing import Any

from . import backend, use_as_asked


def add_options(to: argparse.ArgumentParser, default: Any = None) -> None:
    """Let a parser take both; default: what stands for one that is not given."""
    to.add_argument("--backend", default=default, metavar="NAME", help="what computes: numpy, cupy (a GPU), or auto, a "
                    "GPU where one is usable (default: numpy, or TINYGRAD_RNN_BACKEND)")
    to.add_argument("--precision", default=default, metavar="NAME", help="of products on a GPU: float32, tf32 or "
                    "bfloat16 (default: float32, or TINYGRAD_RNN_PRECISION)")


def use_options(args: argparse.Namespace) -> None:
    """Compute with what was given; where neither was, with what is in use. Raises as `use_backend` does."""
    if args.backend or args.precision:
        use_as_asked(args.backend or backend(), args.precision)
