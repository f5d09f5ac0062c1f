"""Lets ``python -m colloid_cg`` stand for the command ``colloid-cg``."""

from colloid_cg.cli import main

if __name__ == "__main__":
    main()
