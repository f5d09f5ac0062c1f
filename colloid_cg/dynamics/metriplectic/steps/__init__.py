"""Time steps of the metriplectic model: re-injection (one and two stages), Euler-Maruyama, pair Metropolis."""
