"""What to cite for what a run used."""

from __future__ import annotations

from importlib.metadata import version

from colloid_cg.provenance import package_version
from colloid_cg.store import RunFolder

_BY_STAGE: dict[str, tuple[tuple[str, str], ...]] = {
    "track": (
        (
            "tracking engine",
            f"D. B. Allan, T. Caswell, N. C. Keim, C. M. van der Wel and R. W. Verweij, trackpy {version('trackpy')}, "
            "https://soft-matter.github.io/trackpy",
        ),
        (
            "particle tracking",
            "J. C. Crocker and D. G. Grier, J. Colloid Interface Sci. 179, 298 (1996), doi:10.1006/jcis.1996.0217",
        ),
        (
            "static localisation error",
            "T. Savin and P. S. Doyle, Biophys. J. 88, 623 (2005), doi:10.1529/biophysj.104.042457",
        ),
    ),
    "structure": (
        (
            "self-supervised structural variables",
            "E. Boattini et al., Nat. Commun. 11, 5479 (2020), doi:10.1038/s41467-020-19286-8",
        ),
    ),
    "fit": (
        (
            "structure-preserving coarse-graining",
            "Q. Hernandez, M. Win, T. O'Connor, P. Arratia and N. Trask, arXiv:2508.12569 (2025)",
        ),
        (
            "noise and blur in diffusion estimates",
            "A. J. Berglund, Phys. Rev. E 82, 011917 (2010), doi:10.1103/PhysRevE.82.011917",
        ),
    ),
    "events": (
        ("D2min", "M. L. Falk and J. S. Langer, Phys. Rev. E 57, 7192 (1998), doi:10.1103/PhysRevE.57.7192"),
        ("p_hop", "R. Candelier et al., Phys. Rev. Lett. 102, 088001 (2009), doi:10.1103/PhysRevLett.102.088001"),
        (
            "false-discovery rate",
            "Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x",
        ),
    ),
}


def citations(folder: RunFolder) -> list[dict[str, str]]:
    """Return what to cite, the software first, then each completed stage's sources."""
    stages = folder.manifest()["stages"]
    entries = [{"for": "software", "text": f"colloid_cg {package_version()}, see CITATION.cff"}]
    for name, sources in _BY_STAGE.items():
        if stages.get(name, {}).get("status") == "complete":
            entries += [{"for": purpose, "text": text} for purpose, text in sources]
    return entries
