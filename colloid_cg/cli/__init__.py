"""The command line; the only layer that prints."""

from colloid_cg.cli.main import main

__all__ = ["main"]
