"""What is printed to a console."""

from __future__ import annotations

import io
import sys


def print_anything() -> None:
    """Letters that the console or the file behind it cannot hold are printed as escapes, and are no error.

    Such as ≥ on Windows where what is printed goes into a file. Who has chosen another way keeps it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
