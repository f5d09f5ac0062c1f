"""Figures as pure functions of records, one module per topic."""
