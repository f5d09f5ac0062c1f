"""Writes that either happen completely or not at all: temporary name, sync, rename."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colloid_cg.errors import StorageError

TEMPORARY = ".tmp-"
_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic_path(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` when the block ends without an error.

    With ``folder=True`` the temporary path is an existing empty folder that replaces the target folder.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written; the target then is what it was before.
    """
    target = target.absolute()
    if target.is_dir() and not folder:
        raise StorageError(
            f"a folder at {target}", expected="the name of a file to write", action="choose another name"
        )
    temporary = target.with_name(f".{target.name}{TEMPORARY}{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        if folder:
            temporary.mkdir()
        yield temporary
        _sync(temporary)
        _replace(temporary, target)
    except OSError as error:
        raise explain(error, target) from error
    finally:
        _remove(temporary)


def _replace(temporary: Path, target: Path) -> None:
    if not target.is_dir():
        temporary.replace(target)
        return
    retired = target.with_name(f".{target.name}{TEMPORARY}{os.getpid()}-old")
    _remove(retired)
    target.replace(retired)
    temporary.replace(target)
    _remove(retired)


def explain(error: OSError, target: Path) -> Exception:
    """Return the error that tells the user why ``target`` cannot be written, or the error itself."""
    if error.errno in _SPACE:
        return StorageError(
            f"no space left to write {target}",
            expected="enough free disk space for the run folder",
            action="free some space and start the same command again: it goes on where it stopped",
        )
    if error.errno in _ACCESS:
        return StorageError(
            f"no permission to write {target}", expected="a writable folder", action="choose another one with -o"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StorageError(
            f"a file where the folder of {target} should be", expected="a folder", action="choose another name with -o"
        )
    return error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON-able value, keys in the order given, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    StorageError
        If the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path.name} that is not valid JSON ({error})",
            expected="the file as colloid-cg wrote it",
            action="restore it from a copy, or start a new run folder",
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders that a killed process left behind."""
    for item in folder.rglob(f".*{TEMPORARY}*"):
        _remove(item)


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
