"""observables layer."""
