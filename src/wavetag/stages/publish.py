"""publish: hand a suite's scores, findings, table and figures on to the report's page and `wavetag findings`."""

import argparse
import shutil
from pathlib import Path

from wavetag import files, findings, params
from wavetag.stages import say, stage

CAPTIONS = "captions.json"
TABLE = "table.md"


def put_together(table: Path, figures: Path | None, folder: Path) -> list[str]:
    """Write the folder anew, whole or not at all: the table, and the figures that have captions, with these.

    Args:
        table: of the suite's configs, as ``findings`` wrote it.
        figures: folder with pictures and captions.json; None for a suite that draws none.
        folder: to write.

    Returns:
        The names of the pictures.

    Raises:
        ValueError: what is missing.
    """
    captions = files.read_json(figures / CAPTIONS) if figures else {}
    copied = {table: TABLE, **{figures / name: name for name in captions}}
    for path in copied:
        if not path.is_file():
            raise ValueError(f"{path}: no such file, to be published")
    with files.folder_written_whole(folder) as written:
        for path, name in copied.items():
            shutil.copyfile(path, written / name)
        files.write_json(written / CAPTIONS, captions)
    return list(captions)


@stage
def main() -> None:
    """Gather what a suite came to in a file and a folder that are kept in git."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument(
        "--figures", type=Path, help="folder with the suite's figures and their captions, if it has any"
    )
    parser.add_argument("--results", type=Path, required=True, help="scores and findings to write")
    parser.add_argument("--published", type=Path, required=True, help="folder for table and figures, written anew")
    parser.add_argument("--done", type=Path, required=True, help="list of what was handed on, to write")
    arguments = parser.parse_args()
    suite = params.load_suite(arguments.suite, params.load())
    names, metrics = findings.scored_configs(suite), arguments.suite / "metrics"
    scores = {
        name: files.read_json(metrics / f"{name}.json") | {"settings": findings.score_settings(suite, name)}
        for name in names
    }
    found = files.read_json(metrics / "findings" / "findings.json")
    pictures = put_together(metrics / "findings" / TABLE, arguments.figures, arguments.published)
    files.write_json(arguments.results, {"configs": scores, "findings": found})
    files.write_text(arguments.done, "".join(f"{name}\n" for name in [*names, *pictures]))
    say(
        f"publish: {', '.join(names)} and {len(found['findings'])} findings in {arguments.results}, the table and"
        f" {len(pictures)} figures in {arguments.published}; `wavetag findings {arguments.suite.name}` shows the"
        " findings, `snakemake --cores 4 all` puts all of it on the page"
    )


if __name__ == "__main__":
    raise SystemExit(main())
