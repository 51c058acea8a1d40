"""split: which clips train, validate and test, with which labels."""

import argparse
from pathlib import Path

from wavetag import clips, files, params, splits
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Divide the clips by part and write their labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the dataset")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the prepared clips")
    parser.add_argument("--suite", type=Path, help="folder of the suite, if the split is one of its own")
    parser.add_argument("--name", help="of the suite's split")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    parser.add_argument("--tags", type=Path, required=True, help="list of the tags, in order, to write")
    arguments = parser.parse_args()
    settings = params.load()
    chosen = settings["split"]
    if arguments.suite:
        chosen = params.split_of(params.load_suite(arguments.suite, settings), arguments.name)
    rate = settings["defaults"]["sample_rate"]
    split = splits.make(
        clips.read_manifest(arguments.manifest),
        clips.read_annotations(arguments.dataset / "annotations_final.csv"),
        chosen["vocabulary"],
        {name: chosen[name] for name in splits.NAMES},
        chosen["population"],
        params.window_samples(settings, rate),
        rate,
        chosen.get("without", ()),
    )
    splits.write(arguments.out, split)
    files.write_text(arguments.tags, "".join(f"{tag}\n" for tag in split.tags))
    say(splits.counts(split).to_string(index=False))
    say(splits.view_counts(split.only(splits.TEST)).to_string(index=False))
    say(f"split: {splits.shared_artists(split):.1%} of the test clips are by an artist who is also in train")


if __name__ == "__main__":
    raise SystemExit(main())
