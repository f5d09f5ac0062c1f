"""Tables of external fields that the settings of the fit name: read, checked, and part of the cache key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colloid_cg.learn import FieldTables, FitConfig
from colloid_cg.pipeline.stage import Job
from colloid_cg.pipeline.study import Study
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.store.tables import read_foreign_table


def field_tables(study: Study) -> FieldTables:
    """Read the tables named in the ``[fit]`` section.

    Raises
    ------
    InputError
        If one cannot be read or lacks a column.
    """
    named = study.section(FitConfig).tables()
    return FieldTables(**{name: read_foreign_table(Path(path))[0] for name, path in named.items()})


def field_digests(job: Job) -> dict[str, Any] | None:
    """Return the content hash of every such table; None where no setting names one."""
    named = job.study.section(FitConfig).tables()
    if not named:
        return None
    field_tables(job.study)
    return {name: sha256_of_tree(Path(path)) for name, path in named.items()}
