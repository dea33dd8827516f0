"""The command line: one program, the same verbs as the library."""

from weightpath.cli.entry import main

__all__ = ["main"]
