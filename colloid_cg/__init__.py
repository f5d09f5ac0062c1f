"""From high-speed colloid microscopy to a thermodynamically consistent model (lazy namespace)."""
