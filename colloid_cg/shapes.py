"""Array types with their shapes in the signature (jaxtyping); lengths in um and times in s unless a name says px."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

Positions: TypeAlias = Float[np.ndarray, "n d"]
Vectors: TypeAlias = Float[np.ndarray, "n d"]
Scalars: TypeAlias = Float[np.ndarray, " n"]
Counts: TypeAlias = Int[np.ndarray, " n"]
Indices: TypeAlias = Int[np.ndarray, " n"]
Mask: TypeAlias = Bool[np.ndarray, " n"]
Pairs: TypeAlias = Int[np.ndarray, "p 2"]
Image: TypeAlias = Float[np.ndarray, "h w"]
