"""The ``inspect`` verb: suggested settings with the evidence, without a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colloid_cg import tracking
from colloid_cg.pipeline.source import open_source
from colloid_cg.pipeline.stage import ProgressFactory, no_progress
from colloid_cg.pipeline.study import Study
from colloid_cg.reporting import inspect_figure, png_bytes
from colloid_cg.seeding import generator
from colloid_cg.store import atomic_path
from colloid_cg.tracking import TrackConfig


def inspect_video(
    source: Path, study: Study, *, figure: Path, progress: ProgressFactory = no_progress
) -> dict[str, Any]:
    """Return suggested tracking settings and why; write the figure that shows it.

    Raises
    ------
    InputError, DataError, ConfigError
        As for tracking; pixel size and frame interval are not needed here.
    """
    video = open_source(source, study, calibrated=False)
    config = study.section(TrackConfig)
    tracking.check_against(config, video)
    with progress("inspect") as advance:
        advance(0, 1)
        suggestion = tracking.suggest(video, config)
        settings = tracking.resolve(config, suggestion)
        bias = tracking.bias_of_movie(settings, suggestion.image_model, generator(study.seed, "inspect"))
        advance(1, 1)
    middle = len(video) // 2
    detections = tracking.locate(video, settings, suggestion.image_model, start=middle, stop=middle + 1)
    content = suggestion.as_dict()
    picture = png_bytes(inspect_figure(content, video[middle], detections))
    with atomic_path(figure) as temporary:
        temporary.write_bytes(picture)
    movie = {
        "frames": len(video),
        "height": video.height,
        "width": video.width,
        "dtype": str(video.dtype),
        "pixel_size_um": video.pixel_size,
        "frame_interval_s": video.frame_interval,
        "exposure_s": video.exposure,
    }
    reasons = [f"{name} = {choice.value}: {choice.reason}" for name, choice in suggestion.choices.items()]
    if bias is not None:
        reasons.append(
            f"sub-pixel bias: {bias['largest']:.2g} px (rms over the place in the pixel, uncertain by "
            f"{bias['standard_error']:.1g} px), beside an error of {bias['rms_error']:.2g} px"
        )
    return {
        "movie": movie,
        "settings": settings.as_dict(),
        "reasons": reasons,
        "subpixel_bias": bias,
        **content,
        "warnings": [*video.metadata.get("warnings", ()), *suggestion.warnings],
    }
