"""What went wrong where: lost tracks, frames that are missing or twice there, doubtful links, wrong error bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import CommonMotion, Trajectories

_NEIGHBOURHOOD = 51  # frames a frame is compared with
_REPEATED = 0.1  # of the usual scatter of displacements: only an identical frame comes near
_MISSING = 1.2  # one missing frame makes it sqrt(2)
_CHANCES = 6.0  # standard deviations that chance does not reach in 10^6 frames
_JUMP = 8.0
_DIP = 0.8
_POOR = 0.1  # more of the detections than usual


def dropped_frames(counts: np.ndarray, motion: CommonMotion) -> dict[str, list[int]]:
    """Return the frames that do not fit between their neighbours.

    Parameters
    ----------
    counts : numpy.ndarray
        Detections in each frame of ``motion``, shape (t,).
    motion : CommonMotion
        Of the same frames.

    Returns
    -------
    dict of list of int
        ``repeated``: nothing moved since the frame before, as in an identical copy of it. ``missing``: displacements
        are larger than usual by more than a fifth, as after a frame that was not recorded (a factor sqrt(2) for
        diffusion). ``jump``: the common motion leaps by more than eight robust standard deviations. ``dip``: more than
        a fifth of the detections are missing. The frame named is the one after the fault, or in the dip; "usual" is
        the median of 51 frames around, and what chance alone may do is allowed for.
    """
    frame, scatter = motion.frame, motion.scatter
    known = np.isfinite(scatter)
    usual = _running_median(np.where(known, scatter, np.nanmedian(scatter) if known.any() else 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(known & (usual > 0), scatter / usual, 1.0)
        # A standard deviation from 2 n normal displacements has a relative error of 1 / sqrt(4 n).
        chance = 1.0 + _CHANCES / np.sqrt(4.0 * np.maximum(motion.n_particles, 1))
    steps = np.diff(motion.translation, axis=0, prepend=motion.translation[:1])
    steps = steps - np.column_stack([_running_median(column) for column in steps.T])
    spread = 1.4826 * np.median(np.abs(steps), axis=0)
    jump = ((np.abs(steps) > _JUMP * spread) & (spread > 0)).any(axis=1)
    middle = _running_median(counts.astype(float))
    dip = (counts < _DIP * middle) & (middle - counts > _CHANCES * np.sqrt(np.maximum(middle, 1.0)))
    return {
        "repeated": frame[ratio < _REPEATED].tolist(),
        "missing": frame[ratio > np.maximum(_MISSING, chance)].tolist(),
        "jump": frame[jump].tolist(),
        "dip": frame[dip].tolist(),
    }


def poor_fits(counts: np.ndarray, poor: np.ndarray) -> list[int]:
    """Return the frames, by index, in which far more fits than usual do not explain their pixels.

    More than usual by a tenth of the detections and by more than chance: frames whose fit went wrong as a whole, and
    frames that do not look like the movie (light, focus, something that drifts through).

    Parameters
    ----------
    counts, poor : int array, shape (t,)
        Detections of each frame, and those of them with FLAG_POOR_FIT. "Usual" is the median share of 51 frames around.
    """
    usual = _running_median(poor / np.maximum(counts, 1)) * counts
    return np.flatnonzero(poor > usual + np.maximum(_POOR * counts, _CHANCES * np.sqrt(usual + 1.0))).tolist()


def lost_tracks(tracks: Trajectories) -> dict[str, Any]:
    """Return how many tracks end in each frame, and where.

    Returns
    -------
    dict
        ``frame, count``: tracks whose last detection is in that frame, the last frame of the movie left out;
        ``share``: ends per detection; ``many``: frames with more ends than chance explains (six standard deviations of
        a Poisson count about the running median); ``share_at_edge``: ends closer to the edge of the view than
        a twentieth of its shorter side.
    """
    table = tracks.table
    if table.empty:
        return {"frame": [], "count": [], "share": 0.0, "many": [], "share_at_edge": None}
    first, last = int(table["frame"].iloc[0]), int(table["frame"].iloc[-1])
    ends = ~table["particle"].duplicated(keep="last").to_numpy() & (table["frame"] < last).to_numpy()
    count = np.bincount(table["frame"].to_numpy()[ends] - first, minlength=max(last - first, 1))
    usual = np.maximum(_running_median(count.astype(float)), count.mean())
    many = np.flatnonzero(count > usual + _CHANCES * np.sqrt(usual + 1.0))
    near = tracks.edge_distance[ends] < 0.05 * float(np.min(tracks.box.lengths))
    return {
        "frame": list(range(first, first + len(count))),
        "count": count.tolist(),
        "share": float(ends.sum() / len(table)),
        "many": (first + many).tolist(),
        "share_at_edge": float(near.mean()) if len(near) else None,
    }


def gap_share(table: pd.DataFrame) -> float:
    """Return the share of frames between the first and the last detection of a track in which it was not detected."""
    if table.empty:
        return 0.0
    life = table.groupby("particle")["frame"].agg(["min", "max"])
    return float(1.0 - len(table) / (life["max"] - life["min"] + 1).sum())


def confidence(table: pd.DataFrame, *, bins: int = 20) -> dict[str, Any] | None:
    """Return the histogram of ``link_confidence`` (edges, counts, median, share_below_90), None if not recorded."""
    if "link_confidence" not in table.columns or not table["link_confidence"].notna().any():
        return None
    values = table["link_confidence"].dropna().to_numpy(dtype=float)
    counts, edges = np.histogram(values, bins=bins, range=(0.0, 1.0))
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "median": float(np.median(values)),
        "share_below_90": float((values < 0.9).mean()),
    }


def localisation_error(tracks: Trajectories) -> dict[str, Any] | None:
    """Return the localisation error that the displacements show, beside the one that is stated.

    An error made in one frame enters two displacements with opposite signs: sigma^2 = R <d^2> - (1 - 2 R) <d d'>, d and
    d' successive displacements of a free particle, R the blur coefficient (Vestergaard, Blainey and Flyvbjerg 2014,
    doi:10.1103/PhysRevE.89.022726), a sixth of the exposed share of the frame interval; zero if the exposure is
    unknown. Cages and traps also turn displacements back, and then pass for an error.

    Returns
    -------
    dict or None
        For x and y: ``variance`` and ``standard_error`` (px^2; particles are independent), ``estimated`` (px, None
        where the variance is negative), ``stated`` (px, root mean square; None if unknown); ``blur``; ``n_pairs``.
        None where no particle is seen in three successive frames.
    """
    table = tracks.table.sort_values(["particle", "frame"], kind="stable")
    particle, frame = table["particle"].to_numpy(), table["frame"].to_numpy()
    step = np.diff(table[["x", "y"]].to_numpy(dtype=float), axis=0)
    linked = (np.diff(particle) == 0) & (np.diff(frame) == 1)
    pair = np.flatnonzero(linked[1:] & linked[:-1])
    if len(pair) < 2:
        return None
    step = step - step[linked].mean(axis=0)
    exposed = (tracks.exposure or 0.0) / tracks.frame_interval
    blur = min(exposed, 1.0) / 6.0
    squares = (step[pair] ** 2 + step[pair + 1] ** 2) / 2.0
    terms = blur * squares - (1.0 - 2.0 * blur) * step[pair] * step[pair + 1]
    variance = terms.mean(axis=0)
    whose = np.unique(particle[pair], return_inverse=True)[1]
    sums = np.column_stack([np.bincount(whose, weights=column) for column in (terms - variance).T])
    error = np.sqrt((sums**2).sum(axis=0)) / len(pair)
    result: dict[str, Any] = {"blur": blur, "exposure_known": tracks.exposure is not None, "n_pairs": len(pair)}
    for k, axis in enumerate("xy"):
        stated = table[f"sigma_{axis}"].to_numpy(dtype=float)
        stated = stated[np.isfinite(stated)]
        result[axis] = {
            "variance": float(variance[k]),
            "standard_error": float(error[k]),
            "estimated": float(np.sqrt(variance[k])) if variance[k] > 0 else None,
            "stated": float(np.sqrt((stated**2).mean())) if len(stated) else None,
        }
    return result


def _running_median(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import median_filter

    if not len(values):
        return values
    return np.asarray(median_filter(values, size=min(_NEIGHBOURHOOD, 2 * len(values) - 1), mode="nearest"))
