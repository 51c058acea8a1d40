"""publish: hand a suite's scores on to the tables."""

import argparse
from pathlib import Path

from wavetag import files, params
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Gather the scores of a suite's configs in one file that is kept in git."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--results", type=Path, required=True, help="scores to write")
    parser.add_argument("--done", type=Path, required=True, help="list of what was handed on, to write")
    arguments = parser.parse_args()
    settings = params.load()
    suite = params.load_suite(arguments.suite, settings)
    names, results = list(suite["experiments"]), {}
    for name in names:
        of_what = {"settings": params.of_a_score(settings, params.config(suite, name))}
        results[name] = files.read_json(arguments.suite / "metrics" / f"{name}.json") | of_what
    files.write_json(arguments.results, results)
    files.write_text(arguments.done, "".join(f"{name}\n" for name in names))
    say(f"publish: {', '.join(names)} in {arguments.results}; `snakemake --cores 4 all` now puts them into the tables")


if __name__ == "__main__":
    raise SystemExit(main())
