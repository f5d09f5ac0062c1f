"""Settings of the video stage: calibration, channel, part of the movie, background."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from colloid_cg.errors import ConfigError
from colloid_cg.settings import Settings
from colloid_cg.units import micrometres, seconds


class VideoConfig(Settings):
    """How to read a movie; None means "as the file says".

    Parameters
    ----------
    pixel_size : str, float or None
        Edge of a pixel, ``"0.108 um"``; a plain number is in um.
    frame_interval, exposure : str, float or None
        Time between frames and exposure time, ``"10 ms"``; a plain number is in s.
    channel : str, int or None
        "red", "green", "blue", "mean", "luminance" (video codecs only), the name of an instrument channel, or an index.
    plane : int or None
        Index of the focal plane in files that hold a z-stack per time.
    position : int or None
        Index of the stage position (or of the image series) in files that hold several.
    array : str or None
        Name of the array in an .npz file or a Zarr group that holds several.
    first_frame, last_frame : int or None
        Part of the movie, half open: ``first_frame <= index < last_frame``.
    background : {"none", "tophat", "rolling_ball", "gaussian"}
        How slowly varying background is estimated; it is subtracted.
    background_radius : int
        Radius of the structuring element or ball, standard deviation of the Gaussian (px); larger than a particle.
    particles : {"bright", "dark"}
        Whether particles are brighter or darker than their surroundings: the side the background is estimated from.
    flat_field : bool
        Divide by the slowly varying illumination, the smoothed mean over the movie.
    flat_field_radius : int
        Standard deviation of that smoothing (px).
    dark_level : float
        Camera offset (grey levels) subtracted before the division.
    """

    table: ClassVar[str] = "video"

    pixel_size: str | float | None = None
    frame_interval: str | float | None = None
    exposure: str | float | None = None
    channel: str | int | None = None
    plane: int | None = Field(default=None, ge=0)
    position: int | None = Field(default=None, ge=0)
    array: str | None = None
    first_frame: int | None = Field(default=None, ge=0)
    last_frame: int | None = Field(default=None, ge=1)
    background: Literal["none", "tophat", "rolling_ball", "gaussian"] = "none"
    background_radius: int = Field(default=25, ge=1)
    particles: Literal["bright", "dark"] = "bright"
    flat_field: bool = False
    flat_field_radius: int = Field(default=50, ge=1)
    dark_level: float = Field(default=0.0, ge=0.0)

    @field_validator("pixel_size")
    @classmethod
    def _is_length(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            micrometres(value)
        return value

    @field_validator("frame_interval", "exposure")
    @classmethod
    def _is_time(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            seconds(value)
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.first_frame is not None and self.last_frame is not None and self.last_frame <= self.first_frame:
            raise ConfigError(
                f"video.first_frame = {self.first_frame} and video.last_frame = {self.last_frame}",
                expected="last_frame above first_frame (the part is half open)",
                action="correct the two settings",
            )
        interval, exposure = self.frame_interval, self.exposure
        if interval is not None and exposure is not None and seconds(exposure) > seconds(interval):
            raise ConfigError(
                f"an exposure of {exposure} with a frame interval of {interval}",
                expected="an exposure no longer than the frame interval",
                action="correct video.exposure or video.frame_interval",
            )
        return self
