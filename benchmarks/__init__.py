"""Figures that take too long for the tests, each with its script and its last recorded result."""
