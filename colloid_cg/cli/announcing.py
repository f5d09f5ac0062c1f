"""What is said of each stage while a command runs."""

from __future__ import annotations

from typing import Any

from colloid_cg.cli.display import note


class Announcer:
    """Says in one line what became of a stage, then what it found and warned of; each warning once per command.

    Parameters
    ----------
    folder : RunFolder
        Where the stages write.
    """

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._said: set[str] = set()

    def __call__(self, outcome: Any) -> None:
        """Announce an outcome; the warnings of one from the cache hold as well."""
        if outcome.failed is not None:
            note(f"{outcome.stage:<10} no result: {outcome.failed}")
            return
        workers = outcome.summary.get("workers", 0)
        by = f", located by {workers} worker{'s' if workers > 1 else ''}" if workers else ""
        note(f"{outcome.stage:<10} {'up to date' if outcome.cached else f'{outcome.seconds:.1f} s{by}'}")
        for line in self._found(outcome.stage):
            note(f"{'':<10} {line}")
        for warning in outcome.summary.get("warnings") or ():
            if warning not in self._said:
                note(f"check: {warning}")
                self._said.add(warning)

    def _found(self, stage: str) -> list[str]:
        if stage == "track":
            from colloid_cg.pipeline.tracked import tracked_lines

            return tracked_lines(self._folder)
        if stage == "fit":
            from colloid_cg.pipeline.fitted import fitted_lines

            return fitted_lines(self._folder)
        return []
