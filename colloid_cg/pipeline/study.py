"""The settings of a whole study: one TOML file with a table per stage."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from colloid_cg.assessment import AssessConfig
from colloid_cg.assessment.reading import ReadingConfig
from colloid_cg.errors import ConfigError, InputError
from colloid_cg.events import EventConfig
from colloid_cg.learn import FitConfig, MomentumFitConfig, ThermalFitConfig
from colloid_cg.learn.comparison.config import ComparisonConfig
from colloid_cg.settings import Settings, unknown_key
from colloid_cg.simulation import SimulateConfig
from colloid_cg.states import check_fractions
from colloid_cg.structure import StructureConfig
from colloid_cg.tracking import ImportConfig, TrackConfig
from colloid_cg.twin import TwinConfig
from colloid_cg.video import VideoConfig

SomeSettings = TypeVar("SomeSettings", bound=Settings)

STAGE_SETTINGS: tuple[type[Settings], ...] = (
    VideoConfig,
    TrackConfig,
    ImportConfig,
    StructureConfig,
    FitConfig,
    MomentumFitConfig,
    ThermalFitConfig,
    SimulateConfig,
    EventConfig,
    ReadingConfig,
    AssessConfig,
    ComparisonConfig,
    TwinConfig,
)
"""Settings classes; each names the TOML table it stands in."""

MEMORY_ROWS = 20_000_000
"""Detections that a stage holds at once where nothing is said."""

SECTIONS = {kind.table: kind for kind in STAGE_SETTINGS}


class Study:
    """Settings of every stage, defaults where nothing is said.

    Parameters
    ----------
    tables : dict of dict
        Table name -> settings, as read from TOML.
    seed : int
        The seed all random streams derive from.
    fractions : three floats
        Shares of the movie used to train, select and test.
    memory_rows : int
        Detections that a stage may hold in memory at once; a longer run is worked on in parts (see
        :mod:`colloid_cg.pipeline.blocks`).
    """

    def __init__(
        self,
        tables: dict[str, dict[str, Any]] | None = None,
        *,
        seed: int = 0,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        memory_rows: int = MEMORY_ROWS,
    ) -> None:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ConfigError(f"seed = {seed!r}", expected="a whole number, zero or larger", action="correct the seed")
        self.tables = dict(tables or {})
        self.seed = seed
        self.fractions = fractions
        self.memory_rows = memory_rows
        if not isinstance(memory_rows, int) or isinstance(memory_rows, bool) or memory_rows < 1:
            raise ConfigError(
                f"memory_rows = {memory_rows!r}",
                expected="a whole number of detections, at least 1",
                action=f"leave it out for {MEMORY_ROWS}, about 8 GB",
            )
        check_fractions(fractions)
        for name, table in self.tables.items():
            if name in SECTIONS and not isinstance(table, dict):
                raise ConfigError(
                    f"{name} = {table!r}", expected="a table of settings", action=f"write [{name}] above its settings"
                )
            if name not in SECTIONS:
                raise unknown_key(name, [*SECTIONS, "seed", "fractions", "memory_rows"])
            SECTIONS[name].parse(table)

    def section(self, kind: type[SomeSettings]) -> SomeSettings:
        """Return the validated settings of one stage, e.g. ``section(TrackConfig)``."""
        return kind.parse(self.tables.get(kind.table, {}))

    def updated(self, **tables: dict[str, Any]) -> Study:
        """Return a study in which the given entries replace those of the tables (None entries are ignored)."""
        merged = dict(self.tables)
        for name, entries in tables.items():
            given = {key: value for key, value in entries.items() if value is not None}
            if given:
                merged[name] = {**merged.get(name, {}), **given}
        return self.with_(tables=merged)

    def with_(self, *, tables: dict[str, dict[str, Any]] | None = None, seed: int | None = None) -> Study:
        """Return a study with other tables or another seed."""
        return Study(
            self.tables if tables is None else tables,
            seed=self.seed if seed is None else seed,
            fractions=self.fractions,
            memory_rows=self.memory_rows,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that :func:`study_from_dict` reads back."""
        general = {"seed": self.seed, "fractions": list(self.fractions), "memory_rows": self.memory_rows}
        return general | self.tables


def study_from_dict(content: dict[str, Any]) -> Study:
    """Return the study a TOML file or run.json describes.

    Raises
    ------
    ConfigError
        If a table or a key is unknown (the nearest known one is named), or a value does not fit.
    """
    tables = dict(content)
    seed = tables.pop("seed", 0)
    fractions = tables.pop("fractions", (0.6, 0.2, 0.2))
    memory_rows = tables.pop("memory_rows", MEMORY_ROWS)
    if not (isinstance(fractions, (list, tuple)) and all(isinstance(part, (int, float)) for part in fractions)):
        raise ConfigError(
            f"fractions = {fractions!r}", expected="three numbers", action="use for example [0.6, 0.2, 0.2]"
        )
    shares: Any = tuple(float(part) for part in fractions)
    return Study(tables, seed=seed, fractions=shares, memory_rows=memory_rows)


def load_study(path: Path | None) -> Study:
    """Read a TOML file; None gives the defaults.

    Raises
    ------
    InputError
        If the file is missing or no TOML.
    """
    return study_from_dict(read_settings(path))


def load_twin_study(path: Path | None, seed: int | None) -> Study:
    """Read a TOML file for a twin: ``seed`` comes before that of its table, and that before the one of the study.

    Raises
    ------
    InputError
        If the file is missing or no TOML.
    """
    settings = read_settings(path)
    study = study_from_dict(settings)
    if seed is None and "seed" not in study.tables.get(TwinConfig.table, {}):
        seed = settings.get("seed")
    return study.updated(twin={"seed": seed}).with_(seed=seed)


def read_settings(path: Path | None) -> dict[str, Any]:
    """Return the content of a TOML file, empty for None; files it names are taken relative to its folder."""
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"no readable file {path}", expected="a TOML file", action="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} that is not TOML ({error})",
            expected="a TOML file with tables such as [track]",
            action="correct that line",
        ) from error
    return {name: _located(name, table, path.parent) for name, table in content.items()}


def _located(name: str, table: Any, folder: Path) -> Any:
    """Return a table of settings with the files it names as full paths."""
    files: dict[str, tuple[str, ...]] = getattr(SECTIONS.get(name), "files", {})
    if not isinstance(table, dict):
        return table

    def place(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [place(key, item) for item in value]
        return str((folder / value).resolve()) if isinstance(value, str) and value not in files[key] else value

    return {key: place(key, value) if key in files else value for key, value in table.items()}


def overlaid(stored: dict[str, Any], changes: dict[str, Any]) -> Study:
    """Return the stored study with only the settings that ``changes`` names replaced."""
    study_from_dict(changes)
    merged = dict(stored)
    for name, value in changes.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return study_from_dict(merged)
