"""report: a page to read and listen to."""

import argparse
import os
from pathlib import Path

import pandas as pd

from wavetag import files, params, splits
from wavetag.stages import say, stage

FIRST = ("table1", "table2", "comparisons")  # of the tables; others follow by name


def relative(folder: Path, page: Path) -> str:
    """The way from a page to a folder."""
    return Path(os.path.relpath(folder, page.parent)).as_posix()


@stage
def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True, help="folder with the tables")
    parser.add_argument("--figures", type=Path, required=True, help="folder with the figures")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the dataset, for the example clips")
    parser.add_argument("--out", type=Path, required=True, help="page to write")
    arguments = parser.parse_args()

    from wavetag import report

    paths = sorted(
        arguments.tables.glob("*.md"),
        key=lambda path: (FIRST.index(path.stem) if path.stem in FIRST else len(FIRST), path.stem),
    )
    if not paths:
        raise ValueError(f"--tables {arguments.tables}: there is no table (*.md) in it: aggregate the tables first")
    split = splits.read(arguments.split)
    shown = arguments.figures / "examples.csv"
    if not shown.is_file():
        raise ValueError(f"{shown}: no such file: draw the figures first")
    text = {name: str for name in ("example", "clip_id", "path", "tag")}
    clips = pd.read_csv(shown, dtype=text, keep_default_na=False)
    page = report.render(
        params.load(),
        report.table_of("counts", "Clips", splits.counts(split)),
        splits.shared_artists(split),
        [report.read_table(path) for path in paths],
        report.read_figures(
            files.read_json(arguments.figures / "captions.json"), relative(arguments.figures, arguments.out)
        ),
        report.read_examples(clips, relative(arguments.dataset, arguments.out)),
    )
    files.write_text(arguments.out, page)
    say(f"report: {arguments.out}: open it in a browser")


if __name__ == "__main__":
    raise SystemExit(main())
