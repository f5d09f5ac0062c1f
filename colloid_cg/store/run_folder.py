"""The run folder: one place for everything one movie led to, with its provenance in run.json."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colloid_cg.errors import StorageError
from colloid_cg.store.atomic import explain, read_json, remove_leftovers, write_json

SCHEMA_VERSION = 1
"""Version of the layout of a run folder; a change needs a new number and a migration."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and run.json of one run folder.

    Parameters
    ----------
    path : Path
        The folder. It need not exist yet; :meth:`create` makes it.
    """

    path: Path

    @property
    def manifest_path(self) -> Path:
        """RUN/run.json."""
        return self.path / "run.json"

    @property
    def cache(self) -> Path:
        """RUN/cache: parts of unfinished stages; may be deleted at any time."""
        return self.path / "cache"

    def exists(self) -> bool:
        """Tell whether run.json is there."""
        return self.manifest_path.is_file()

    def create(self) -> None:
        """Make the folder with an empty run.json, or check the one that is there.

        Raises
        ------
        StorageError
            If the folder holds other files but no run.json, or was written by another schema version.
        """
        if self.exists():
            self.manifest()
            return
        foreign = self.path.exists() and (
            not self.path.is_dir() or any(item.name not in {"cache", ".lock"} for item in self.path.iterdir())
        )
        if foreign:
            raise StorageError(
                f"{self.path} with other content but no run.json",
                expected="a new folder or an existing run folder",
                action="choose another folder with -o",
            )
        write_json(self.manifest_path, {"schema_version": SCHEMA_VERSION, "stages": {}})

    def manifest(self) -> dict[str, Any]:
        """Return the content of run.json.

        Raises
        ------
        StorageError
            If there is no run.json, or another schema version wrote it.
        """
        if not self.exists():
            raise StorageError(
                f"no run.json in {self.path}",
                expected="a run folder made by colloid-cg",
                action="start with 'colloid-cg run VIDEO -o RUN', 'track' or 'import'",
            )
        content: dict[str, Any] = read_json(self.manifest_path)
        version = content.get("schema_version")
        if version != SCHEMA_VERSION:
            newer = isinstance(version, int) and version > SCHEMA_VERSION
            raise StorageError(
                f"a run folder of schema version {version!r} in {self.path}",
                expected=f"schema version {SCHEMA_VERSION}",
                action="update colloid-cg" if newer else "make the run again with this version of colloid-cg",
            )
        return content

    def update(self, **entries: Any) -> None:
        """Replace top-level entries of run.json."""
        write_json(self.manifest_path, {**self.manifest(), **entries})

    def record_stage(self, name: str, entry: dict[str, Any], *, drop: tuple[str, ...] = ()) -> None:
        """Replace the record of one stage in run.json and remove those of the stages in ``drop``."""
        manifest = self.manifest()
        kept = {stage: record for stage, record in manifest["stages"].items() if stage not in drop}
        write_json(self.manifest_path, {**manifest, "stages": {**kept, name: entry}})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other processes; the lock goes with the process, however it ends.

        Raises
        ------
        StorageError
            If another process works in the folder.
        """
        try:
            import fcntl
        except ImportError:  # no advisory locks on this system: two writers are then the user's affair
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("w")
        except OSError as error:
            raise explain(error, self.path) from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StorageError(
                    f"another process at work in {self.path}",
                    expected="one writer at a time",
                    action="wait for it to end or choose another folder with -o",
                ) from error
            remove_leftovers(self.path)
            yield
