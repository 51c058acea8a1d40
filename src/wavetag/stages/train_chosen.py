"""train_chosen: the networks of a config that a search chose, one for each seed."""

import argparse
from pathlib import Path

from wavetag import files, params
from wavetag.stages import stage
from wavetag.stages.train import add_paths, train_all


@stage
def main() -> None:
    """Train every seed of the chosen config, as ``train`` does those of params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--chosen", type=Path, required=True, help="what the search chose")
    add_paths(parser)
    arguments = parser.parse_args()
    arguments.checkpoints /= arguments.suite
    chosen = files.read_json(arguments.chosen)
    settings = params.load_suite(arguments.suite, params.load())
    train_all(chosen["name"], chosen["config"], settings, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
