"""acquire: the dataset, in MagnaTagATune's own layout."""

import argparse
from pathlib import Path

from wavetag import params
from wavetag.stages import say, stage, threads


@stage
def main() -> None:
    """Generate the embedded dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the dataset")
    arguments = parser.parse_args()
    dataset = params.load()["dataset"]

    import minitune

    every = max(1, dataset["clips"] // 20)

    def progress(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            say(f"acquire: {done} of {total} clips of {dataset['name']} composed, played and encoded")

    minitune.generate(
        arguments.out, clips=dataset["clips"], seed=dataset["seed"], processes=threads(), progress=progress
    )


if __name__ == "__main__":
    raise SystemExit(main())
