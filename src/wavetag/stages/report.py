"""report: a page to read and listen to."""

import argparse
import shutil
from pathlib import Path

from wavetag import files, params
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Write the page's folder anew, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True, help="folder with the tables")
    parser.add_argument("--findings", type=Path, required=True, help="folder with the findings of the tables' configs")
    parser.add_argument("--suites", type=Path, required=True, help="folder with the suites, for their results.json")
    parser.add_argument("--figures", type=Path, required=True, help="folder with the figures")
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders")
    parser.add_argument("--predictions", type=Path, required=True, help="folder with the evaluations")
    parser.add_argument("--clips", type=Path, required=True, help="prepared samples")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the dataset, for the example clips")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, with the page as index.html")
    arguments = parser.parse_args()

    from wavetag import page_data, report

    settings = params.load()
    with files.folder_written_whole(arguments.out) as folder:
        content = page_data.gather(
            settings,
            arguments.tables,
            arguments.findings,
            arguments.suites,
            arguments.figures,
            arguments.models,
            arguments.predictions,
            arguments.clips,
            arguments.split,
            arguments.dataset,
            folder,
        )
        for name in (report.SCRIPT, report.STYLE):
            shutil.copyfile(report.TEMPLATES / name, folder / name)
        files.write_text(folder / "index.html", report.render(settings, **content))
    size = sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file())
    say(f"report: {arguments.out}/index.html: open it in a browser ({size / 1e6:.1f} MB with all that it needs)")


if __name__ == "__main__":
    raise SystemExit(main())
