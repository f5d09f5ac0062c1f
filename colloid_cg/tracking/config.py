"""Settings of the tracking stage, and the checks that need the movie."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import FrameStack
from colloid_cg.settings import Settings


class TrackConfig(Settings):
    """Settings of locating, linking and drift removal; ``None`` means "decide from the movie" (see :func:`suggest`).

    Lengths are in px, ``minmass``, ``minimum_mass_linked`` and ``threshold`` in grey levels of the movie.

    Attributes
    ----------
    engine : "native" or "trackpy"
        Program that locates and links: this package, or trackpy as the reference.
    shape : "spot", "ring" or None
        Spots have one maximum and are located by filtering; rings (discs with a rim, hollow particles) by the
        symmetry of their edges.
    refine : "centroid", "likelihood", "joint" or None
        Native engine only. Centroid of the filtered picture; maximum-likelihood fit of each particle alone; or of
        all particles together, each freed of the light of its neighbours, with the widths of ``size_classes``
        populations shared by the whole movie.
    size_classes : int or None
        Number of populations of different width for ``refine = "joint"``.
    precision : "full" or "trackpy"
        trackpy engine only. "full": the filtered picture keeps 31 bits whatever the type of the pixels, so that
        8-bit, 16-bit and float versions of a picture give the same positions. "trackpy": its own path, which
        rounds the local background to whole grey levels and stretches the filtered picture to the type of the
        file (8 bits for 8-bit and for float movies); use it to reproduce numbers published with trackpy.
    diameter : odd int or None
        Size of the neighbourhood a particle is measured in.
    invert : bool or None
        True for dark particles on a bright background.
    minmass, threshold, percentile, noise_size, smoothing, separation, preprocess
        As in ``trackpy.locate`` (``smoothing`` is its ``smoothing_size``; ``None`` is the diameter). The native
        engine takes ``threshold`` as the least height of a maximum in the filtered picture and counts all its
        positive pixels; ``percentile`` belongs to trackpy alone.
    max_per_frame : int
        More detections than this in one frame is an error: the settings then pick up noise.
    search_range, memory, adaptive_stop, adaptive_step
        As in ``trackpy.link``. Without ``adaptive_stop`` an oversized subnetwork is retried with a search range
        that shrinks down to a quarter.
    gap_growth : float
        Native engine: after a gap of g missed frames the search range is ``search_range * (1 + g)**gap_growth``; .5
        is what diffusion asks for, 0 what trackpy does.
    prediction : "none", "drift", "velocity" or "affine"
        Native engine: where a particle is looked for in the next frame. Where it was; moved by the common
        translation of all particles; by its own recent velocity; or by the common translation, rotation and strain.
    close_gaps : int
        Native engine: longest gap in frames that the second pass closes, after all frames are linked, by the best
        pairing of track ends with track starts over the whole movie; 0 leaves it out.
    refind : bool
        Native engine: whether the pixels are looked at once more where a track misses its particle for no more frames
        than ``memory`` or ``close_gaps``, whichever is longer. What is found carries ``FLAG_REFOUND``.
    minimum_length : int or None
        Tracks with fewer detections are dropped; first of the filters after linking.
    minimum_mass_linked, max_size, max_eccentricity : float or None
        Detections that fail one of these are dropped after linking and after ``minimum_length``; where one drops
        out in the middle of a track the gap stays explicit. Joint fits measure no eccentricity and pass that limit.
    drift : "none", "translation", "rigid" or "affine"
        Which part of the common motion of all particles is removed: nothing, the translation of the stage, its
        translation and rotation, or these and the uniform strain of the sample.
    drift_smoothing : float
        Standard deviation in frames of a Gaussian that smooths the drift before it is removed; 0 for none.
    drift_images : bool
        Whether the translation is also measured from the images and compared.
    drift_minimum_particles : int
        Fewest particles from which drift is estimated: removing the mean motion of n free particles lowers their
        apparent diffusion coefficient by a factor 1 - 1/n.
    """

    table: ClassVar[str] = "track"

    engine: Literal["native", "trackpy"] = "native"
    shape: Literal["spot", "ring"] | None = None
    refine: Literal["centroid", "likelihood", "joint"] | None = None
    size_classes: int | None = Field(default=None, ge=1, le=6)
    precision: Literal["full", "trackpy"] = "full"
    diameter: int | None = Field(default=None, ge=3)
    invert: bool | None = None
    minmass: float | None = Field(default=None, ge=0)
    separation: float | None = Field(default=None, gt=0)
    percentile: float = Field(default=64.0, ge=0, le=100)
    noise_size: float = Field(default=1.0, ge=0)
    smoothing: int | None = Field(default=None, ge=3)
    threshold: float | None = Field(default=None, ge=0)
    preprocess: bool = True
    max_per_frame: int = Field(default=50_000, ge=1)
    search_range: float | None = Field(default=None, gt=0)
    memory: int = Field(default=3, ge=0)
    adaptive_stop: float | None = Field(default=None, gt=0)
    adaptive_step: float = Field(default=0.95, gt=0, lt=1)
    gap_growth: float = Field(default=0.5, ge=0, le=1)
    prediction: Literal["none", "drift", "velocity", "affine"] = "drift"
    close_gaps: int = Field(default=0, ge=0)
    refind: bool = False
    minimum_length: int | None = Field(default=None, ge=1)
    minimum_mass_linked: float | None = Field(default=None, ge=0)
    max_size: float | None = Field(default=None, gt=0)
    max_eccentricity: float | None = Field(default=None, gt=0)
    drift: Literal["none", "translation", "rigid", "affine"] = "translation"
    drift_smoothing: float = Field(default=0.0, ge=0)
    drift_images: bool = False
    drift_minimum_particles: int = Field(default=20, ge=2)

    @field_validator("diameter", "smoothing")
    @classmethod
    def _odd(cls, value: int | None) -> int | None:
        if value is not None and value % 2 == 0:
            raise ConfigError(
                f"an even diameter or smoothing of {value} px",
                expected="an odd number of pixels, so that a centre pixel exists",
                action=f"use {value + 1}",
            )
        return value

    @model_validator(mode="after")
    def _fits_again(self) -> Self:
        if self.refind and self.engine == "trackpy":
            raise ConfigError(
                "track.refind = true with track.engine = 'trackpy'",
                expected="an engine that fits near given places",
                action="set track.engine = 'native' or track.refind = false",
            )
        if self.refind and self.shape == "ring" and self.refine == "centroid":
            raise ConfigError(
                "track.refind = true for rings that are not fitted (track.refine = 'centroid')",
                expected="fitted rings, whose errors and heights tell those that are there",
                action="set track.refine = 'likelihood' or track.refind = false",
            )
        return self


SUGGESTED = (
    "invert",
    "diameter",
    "shape",
    "refine",
    "size_classes",
    "separation",
    "threshold",
    "minmass",
    "search_range",
    "minimum_length",
)
"""Settings that are decided from the movie where they are ``None``."""
NATIVE_ONLY = ("shape", "refine", "size_classes")
"""Those of them that the trackpy engine does not have; a direct call of :func:`locate` may leave them open."""


LOCATE_SETTINGS = (
    "engine",
    "shape",
    "refine",
    "size_classes",
    "precision",
    "diameter",
    "invert",
    "minmass",
    "separation",
    "percentile",
    "noise_size",
    "smoothing",
    "threshold",
    "preprocess",
    "max_per_frame",
)
"""Settings that locating depends on; the others only matter from linking on."""


def check_against(config: TrackConfig, stack: FrameStack) -> None:
    """Refuse settings and movies that cannot go together, before any work is done.

    Raises
    ------
    DataError
        If the movie has one frame, or its first, middle and last frames hold nothing but one grey level.
    ConfigError
        If the diameter does not fit the frame.
    """
    source = stack.source or "the movie"
    if stack.n_frames < 2:
        raise DataError(
            f"one frame in {source}",
            expected="at least two frames: a trajectory joins frames",
            action="give the whole recording instead of a still picture",
        )
    smallest = min(stack.height, stack.width)
    if config.diameter is not None and config.diameter >= smallest:
        largest = max(3, (smallest - 1) // 4 * 2 + 1)
        raise ConfigError(
            f"track.diameter = {config.diameter} px for frames of {stack.width} x {stack.height} px",
            expected="particles much smaller than the frame",
            action=f"use a diameter of {largest} px or less",
        )
    if all(np.ptp(stack[index]) == 0 for index in {0, stack.n_frames // 2, stack.n_frames - 1}):
        raise DataError(
            f"the same grey level ({stack[0].flat[0]}) in every pixel of {source}",
            expected="particles that differ from the background",
            action="check the shutter, the lamp and the channel of the recording",
        )


def require_resolved(config: TrackConfig) -> None:
    """Refuse settings with open questions.

    Raises
    ------
    ConfigError
        If a setting that is decided from the movie is still ``None``.
    """
    missing = [name for name in SUGGESTED if name not in NATIVE_ONLY and getattr(config, name) is None]
    if missing:
        raise ConfigError(
            f"no value for {', '.join(f'track.{name}' for name in missing)}",
            expected="complete settings",
            action="call resolve(config, suggest(stack, config)) first, or give the values",
        )
