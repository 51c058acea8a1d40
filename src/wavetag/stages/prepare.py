"""prepare: every clip decoded once into one array, and a manifest."""

import argparse
from pathlib import Path

from wavetag import clips, params, preparation
from wavetag.stages import say, stage, threads


@stage
def main() -> None:
    """Decode the dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample-rate", type=int, required=True, help="of the array, in Hz")
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the dataset")
    parser.add_argument("--clips", type=Path, required=True, help="array to write")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    arguments = parser.parse_args()
    settings = params.load()

    told = [0]  # tenths of the clips

    def progress(done: int, total: int) -> None:
        if done * 10 // total > told[0]:
            told[0] = done * 10 // total
            say(f"prepare at {arguments.sample_rate} Hz: {done} of {total} clips decoded")

    manifest = preparation.prepare(
        arguments.dataset,
        arguments.clips,
        arguments.manifest,
        arguments.sample_rate,
        params.clip_samples(settings, arguments.sample_rate),
        processes=threads(),
        progress=progress,
    )
    unusable = manifest[manifest["status"] != clips.OK]
    for clip in unusable.itertuples():
        say(f"prepare: left out {clip.path} (clip {clip.clip_id}): {clip.status}: {clip.reason}")
    say(f"prepare: {len(manifest) - len(unusable)} clips usable, {len(unusable)} left out")


if __name__ == "__main__":
    raise SystemExit(main())
