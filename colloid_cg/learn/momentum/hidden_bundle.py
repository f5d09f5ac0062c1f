"""The memory of fitted pair dynamics in a model bundle: kernels, weights, numbers with intervals; and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.dynamics.metriplectic.memory import MemoryKernel
from colloid_cg.learn.momentum.hidden import FittedMemory
from colloid_cg.learn.sandwich import quantile
from colloid_cg.records import ModelBundle, metric

NAMES = ("along", "across", "replicates")


def memory_config(memory: FittedMemory | None) -> dict[str, Any] | None:
    """Return the kernels for the config of a bundle."""
    if memory is None:
        return None
    return {
        "decay": [float(kernel.decay) for kernel in memory.kernels],
        "swing": [None if kernel.swing is None else float(kernel.swing) for kernel in memory.kernels],
    }


def memory_weights(memory: FittedMemory | None) -> dict[str, np.ndarray]:
    """Return the spline coefficients by name."""
    return {} if memory is None else {f"memory_{name}": getattr(memory, name) for name in NAMES}


def memory_diagnostics(memory: FittedMemory | None, frame_interval: float) -> dict[str, Any] | None:
    """Return the windows and how they agree, JSON-able; bands of 90 %."""
    if memory is None:
        return None
    half = quantile(len(memory.replicates)) * memory.seen_error
    return {
        "frames": memory.windows.tolist(),
        "lag": (memory.windows * frame_interval).tolist(),
        "value": memory.seen.tolist(),
        "low90": (memory.seen - half).tolist(),
        "high90": (memory.seen + half).tolist(),
        "standard_error": memory.seen_error.tolist(),
        "expected": memory.expected.tolist(),
        "held_out": memory.held_out.tolist(),
        "misfits": memory.misfits,
        "rates_error": memory.rates_error.tolist(),
        "converged": memory.converged,
    }


def memory_of(bundle: ModelBundle) -> FittedMemory | None:
    """Return the memory a bundle of pair dynamics describes; None for one without."""
    kernels = bundle.config.get("memory")
    if kernels is None:
        return None
    known = bundle.diagnostics["memory"]
    return FittedMemory(
        kernels=tuple(
            MemoryKernel(float(decay), None if swing is None else float(swing))
            for decay, swing in zip(kernels["decay"], kernels["swing"], strict=True)
        ),
        along=bundle.weights["memory_along"],
        across=bundle.weights["memory_across"],
        replicates=bundle.weights["memory_replicates"],
        rates_error=np.asarray(known["rates_error"]),
        windows=np.asarray(known["frames"]),
        seen=np.asarray(known["value"]),
        seen_error=np.asarray(known["standard_error"]),
        expected=np.asarray(known["expected"]),
        held_out=np.asarray(known["held_out"]),
        misfits=dict(known["misfits"]),
        converged=bool(known["converged"]),
    )


def memory_metrics(memory: FittedMemory | None, time_unit: str, rate_unit: str) -> dict[str, list[dict[str, Any]]]:
    """Return decay and mean time of every mode with 90 % intervals."""
    if memory is None:
        return {}
    wide = quantile(len(memory.replicates))
    decays, delays = [], []
    for number, (kernel, error) in enumerate(zip(memory.kernels, memory.rates_error, strict=True), start=1):
        half = wide * float(error[0])
        swings = "" if kernel.swing is None else f", swings at {kernel.swing:.4g}({wide * error[1]:.2g})"
        decays.append(metric(
            kernel.decay, low90=max(kernel.decay - half, 0.0), high90=kernel.decay + half, unit=rate_unit,
            note=f"decay of memory mode {number}{swings}; blocks of time left out in turn",
        ))  # fmt: skip
        delays.append(metric(
            kernel.mean_time, unit="s" if time_unit == "s" else f"time ({time_unit} units)",
            note=f"how late the friction of mode {number} comes, mean over its kernel",
        ))  # fmt: skip
    return {"memory_decay": decays, "memory_delay": delays}
