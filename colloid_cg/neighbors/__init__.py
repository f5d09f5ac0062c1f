"""neighbors layer."""
