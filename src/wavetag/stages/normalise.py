"""normalise: minimum, maximum, mean and standard deviation of the training clips' samples."""

import argparse
from pathlib import Path

from wavetag import clips, files, params, scaling, splits
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Take the statistics that samples are scaled by, from the training clips alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample-rate", type=int, required=True, help="of the array, in Hz")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--out", type=Path, required=True, help="statistics to write")
    arguments = parser.parse_args()
    train = splits.read(arguments.split, only=[splits.TRAIN]).clips
    statistics = scaling.statistics(
        clips.open_array(arguments.clips),
        train["row"],
        train["windows"],
        params.window_samples(params.load(), arguments.sample_rate),
    )
    files.write_json(arguments.out, statistics)
    say(
        f"normalise at {arguments.sample_rate} Hz: "
        + ", ".join(f"{name} {value:g}" for name, value in statistics.items())
    )


if __name__ == "__main__":
    raise SystemExit(main())
