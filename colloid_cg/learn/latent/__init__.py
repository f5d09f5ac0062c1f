"""Hidden structural variables in overdamped dynamics: mobility that depends on structure and on memory."""

from colloid_cg.learn.latent.hidden import with_hidden_variable
from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.model import HiddenModel, hidden_model
from colloid_cg.learn.latent.posterior import frames_to_forget, hidden_fields, hidden_gain

__all__ = [
    "HiddenModel",
    "LatentLaw",
    "frames_to_forget",
    "hidden_fields",
    "hidden_gain",
    "hidden_model",
    "with_hidden_variable",
]
