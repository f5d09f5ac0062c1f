"""twin layer."""
