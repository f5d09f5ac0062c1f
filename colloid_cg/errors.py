"""Errors that say what was found, what was expected and what to do."""

from __future__ import annotations


class ColloidError(Exception):
    """Base of every error raised on purpose by this package.

    Parameters
    ----------
    found, expected, action : str
        The three parts of the message: what was found, what was expected instead, and what the user can do.
    """

    exit_code = 2

    def __init__(self, found: str, *, expected: str, action: str) -> None:
        self.found, self.expected, self.action = found, expected, action
        super().__init__(f"Found {found}; expected {expected}; {action}.")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.found, self.expected, self.action))


def _rebuild(kind: type[ColloidError], found: str, expected: str, action: str) -> ColloidError:
    return kind(found, expected=expected, action=action)


class InputError(ColloidError):
    """A file, a value or an array from outside cannot be used."""


class ConfigError(ColloidError):
    """A setting is unknown, out of range or contradicts another."""


class StorageError(ColloidError):
    """A run folder cannot be written, or was written by another schema version."""


class DataError(ColloidError):
    """The data are readable but cannot answer the question (too few frames, nothing moves, ...)."""


class WorkerError(ColloidError):
    """A process that does part of the work, or the cluster it belongs to, failed."""
