"""release: one network of each config as a folder to tag with and to hand on."""

import argparse
from pathlib import Path

from wavetag import release
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Put the network that did best on the validation clips, its scores and its model card into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with the networks")
    parser.add_argument("--metrics", type=Path, required=True, help="scores of the config")
    parser.add_argument("--tags", type=Path, required=True, help="scores tag by tag")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    metrics, rows = release.read_metrics(arguments.metrics), release.read_table(arguments.tags)
    about = release.release(arguments.model, arguments.out, metrics, rows, release.count(arguments.split))
    say(f"release {about['name']}: the network of seed {about['seed']} is in {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
