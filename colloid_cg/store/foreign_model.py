"""Reading model files that other programs wrote: tensors saved by torch, and JSON settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colloid_cg.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def read_torch_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a file of ``torch.save``, on the processor's memory; no code in the file is run.

    Raises
    ------
    InputError
        If the file is missing or holds anything but tensors by name.
    """
    import torch

    _require(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # one damaged bit gives any of a dozen kinds of error, IndexError and AttributeError too
        raise InputError(
            f"{path} that cannot be read as saved tensors ({type(error).__name__})",
            expected="a complete file of torch.save with nothing but tensors in it",
            action="copy or download the file again",
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items()
    ):
        raise InputError(
            f"{path} with something else than tensors by name",
            expected="the state_dict of a trained model",
            action="give the file of the weights alone",
        )
    return dict(content)


def read_settings(path: Path) -> dict[str, Any]:
    """Read the JSON object of settings that came with a foreign model.

    Raises
    ------
    InputError
        If the file is missing or is not one JSON object.
    """
    _require(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path} that is not valid JSON ({error})",
            expected="one JSON object of settings",
            action="copy or download the file again",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} whose content is a {type(content).__name__}",
            expected="one JSON object of settings",
            action="copy or download the file again",
        )
    return content


def _require(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"no file {path}",
            expected=f"{path.name} of a trained model",
            action="give the folder that holds the model's files",
        )
