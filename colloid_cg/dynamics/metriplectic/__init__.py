"""Metriplectic dynamics: energy, entropy and friction of the underdamped core."""
