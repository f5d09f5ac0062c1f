"""Which axis of a many-dimensional file is time: one channel, one focal plane and one position per frame."""

from __future__ import annotations

from dataclasses import dataclass

from colloid_cg.errors import InputError
from colloid_cg.video.config import VideoConfig

_FREE_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class AxisPlan:
    """How a frame number turns into the index of stored planes.

    Parameters
    ----------
    shape : tuple of int
        Lengths of the leading axes (all but height, width and colour).
    fixed : tuple of int
        Index on each leading axis where it is neither time nor channel.
    time, channel : int or None
        Position of the time and channel axis among the leading axes.
    chosen_channel : int or None
        The instrument channel that was chosen, if there are several.
    note : str
        Said in the metadata where the time axis had another name.
    """

    shape: tuple[int, ...]
    fixed: tuple[int, ...]
    time: int | None
    channel: int | None
    chosen_channel: int | None = None
    note: str = ""

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def n_channels(self) -> int:
        """Number of instrument channels stacked in each frame; 0 if there is no such axis or one was chosen."""
        return 0 if self.channel is None else self.shape[self.channel]

    def said(self) -> dict[str, str]:
        """Return what the metadata say about the choices made."""
        said = {"axes_note": self.note} if self.note else {}
        return said | ({} if self.chosen_channel is None else {"channel": str(self.chosen_channel)})

    def index(self, frame: int, channel: int = 0) -> tuple[int, ...]:
        """Return the index on the leading axes of one plane."""
        place = list(self.fixed)
        if self.time is not None:
            place[self.time] = frame
        if self.channel is not None:
            place[self.channel] = channel
        return tuple(place)


def plan_axes(axes: str, shape: tuple[int, ...], *, config: VideoConfig, name: str) -> AxisPlan:
    """Choose time, channel and fixed axes among the leading axes of a file.

    A single axis longer than one is time whatever its letter (microscope software often stores movies as z-stacks);
    with several, T is time, C the channel, Z is fixed by ``config.plane`` and any other by ``config.position``.

    Raises
    ------
    InputError
        If a choice is missing or out of range.
    """
    wanted = {axis: (config.plane if axis == "Z" else config.position) for axis in axes if axis not in "TC"}
    fixed = [0] * len(axes)
    free = []
    for place, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        choice = wanted.get(axis)
        if size == 1:
            continue
        if choice is None:
            free.append(place)
            continue
        if choice >= size:
            raise _out_of_range(axis, choice, size, name)
        fixed[place] = choice
    if len(free) == 1 and (axes[free[0]] != "C" or shape[free[0]] > _FREE_CHANNELS):
        axis = axes[free[0]]
        note = "" if axis in "TIQ" else f"the file calls its frames axis {axis}; it is read as time"
        return AxisPlan(shape=shape, fixed=tuple(fixed), time=free[0], channel=None, note=note)
    channel = next((place for place in free if axes[place] == "C"), None)
    rest = [place for place in free if place != channel]
    time = next((place for place in rest if axes[place] == "T"), rest[0] if len(rest) == 1 else None)
    unresolved = [place for place in rest if place != time]
    if unresolved:
        raise _choice_needed([(axes[place], shape[place]) for place in unresolved], axes, shape, name)
    if channel is not None and (index := _channel_index(config.channel)) is not None:
        if not 0 <= index < shape[channel]:
            raise _out_of_range("C", index, shape[channel], name)
        fixed[channel] = index
        return AxisPlan(shape=shape, fixed=tuple(fixed), time=time, channel=None, chosen_channel=index)
    return AxisPlan(shape=shape, fixed=tuple(fixed), time=time, channel=channel)


def _channel_index(channel: str | int | None) -> int | None:
    if isinstance(channel, int):
        return channel
    return int(channel) if channel is not None and channel.isdecimal() else None


def _setting_of(axis: str) -> str:
    return {"Z": "plane", "C": "channel"}.get(axis, "position")


def _out_of_range(axis: str, choice: int, size: int, name: str) -> InputError:
    setting = _setting_of(axis)
    return InputError(
        f"{setting} = {choice} for {name}, which holds {size}",
        expected=f"an index from 0 to {size - 1}",
        action=f"correct video.{setting}",
    )


def _choice_needed(missing: list[tuple[str, int]], axes: str, shape: tuple[int, ...], name: str) -> InputError:
    layout = ", ".join(f"{axis}: {size}" for axis, size in zip(axes, shape, strict=True))
    settings = " and ".join(f"{_setting_of(axis)} (0 to {size - 1})" for axis, size in missing)
    return InputError(
        f"several images per time in {name} (axes {layout})",
        expected="one focal plane and one position per frame",
        action=f"set video.{settings.replace(' and ', ' and video.')}",
    )
