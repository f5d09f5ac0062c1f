"""The checklist: every question a referee asks, with what was found, what was expected and a verdict."""

from colloid_cg.reporting.checks.check import VERDICTS, Check
from colloid_cg.reporting.checks.checklist import checklist

__all__ = ["VERDICTS", "Check", "checklist"]
