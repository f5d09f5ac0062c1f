"""What produced a number: content hashes, the version of the code and of the libraries behind it."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from colloid_cg.progress import Progress, silent

_LIBRARIES = ("numpy", "scipy", "numba", "pandas", "pyarrow", "trackpy", "scikit-image", "torch")
_BLOCK = 1 << 22


def sha256_of_file(path: Path, progress: Progress = silent) -> str:
    """Return the sha256 of a file, read block by block."""
    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(done, total)
    return digest.hexdigest()


def sha256_of_tree(path: Path) -> str:
    """Return the sha256 over names and contents of a file or of every file below a folder, in name order."""
    if path.is_file():
        return sha256_of_file(path)
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of_file(file)}\n".encode())
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the sha256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package version and a digest of its Python sources: a changed line changes it."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{package_version()}+{digest.hexdigest()[:12]}"


def package_version() -> str:
    """Return the version of the installed package, or "0+unknown" from a bare source tree."""
    try:
        return metadata.version("colloid-cg")
    except metadata.PackageNotFoundError:
        return "0+unknown"


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that shape the numbers."""
    versions = {"python": platform.python_version(), "colloid_cg": code_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions
