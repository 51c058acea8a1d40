"""Ends with 0 if no Snakemake is at work in this folder: a lock of Snakemake's is then one that a kill left behind."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from wavetag import processes

if __name__ == "__main__":
    sys.exit(1 if processes.snakemakes(Path()) else 0)
