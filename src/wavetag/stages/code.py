"""code: what each module does, without comments and docstrings, for the other stages to depend on."""

import argparse
from pathlib import Path

from wavetag import sources
from wavetag.stages import stage


@stage
def main() -> None:
    """Write it; what is the same as before is left as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    sources.write(parser.parse_args().out)


if __name__ == "__main__":
    raise SystemExit(main())
