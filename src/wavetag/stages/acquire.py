"""acquire: a dataset, whichever it is, in MagnaTagATune's own layout."""

import argparse
from pathlib import Path
from typing import Any

from wavetag import params
from wavetag.datasets import layout
from wavetag.stages import say, stage, threads


def generate(out: Path, settings: dict[str, Any]) -> None:
    """Compose minitune."""
    import minitune

    every = max(1, settings["clips"] // 20)

    def progress(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            say(f"acquire: {done} of {total} clips of minitune composed, played and encoded")

    minitune.generate(out, clips=settings["clips"], seed=settings["seed"], processes=threads(), progress=progress)


@stage
def main() -> None:
    """Generate, fetch, convert or link the dataset that params.yaml names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the dataset")
    arguments = parser.parse_args()
    settings = params.load()
    dataset, clip_seconds = settings["dataset"], settings["prepare"]["clip_seconds"]

    if dataset["name"] != "minitune":
        layout.refuse_overlap(arguments.out, dataset["source"], dataset["audio"])

    def told(line: str) -> None:
        say(f"acquire: {line}")

    if dataset["name"] == "minitune":
        generate(arguments.out, dataset)
    elif dataset["name"] == "magnatagatune":
        from wavetag.datasets import magnatagatune

        magnatagatune.acquire(arguments.out, dataset, told)
    elif dataset["name"] == "coursework":
        from wavetag.datasets import coursework

        coursework.acquire(arguments.out, dataset, threads(), told)
    else:
        from wavetag.datasets import folder

        folder.acquire(arguments.out, dataset, clip_seconds, settings["split"]["vocabulary"], told)


if __name__ == "__main__":
    raise SystemExit(main())
