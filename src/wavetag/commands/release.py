"""``wavetag release``: a model folder to hand on, of any config that was trained."""

import argparse
from collections.abc import Callable
from pathlib import Path


def options(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """Make a folder to hand on of a trained config: its best network, its scores, and a model card."""
    parser.add_argument("model", metavar="NAME or FOLDER", help="as training left it, such as suites/open/models/crnn")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    parser.add_argument("--metrics", type=Path, help="of the config; by default metrics/NAME.json of its pipeline")
    return run


def run(arguments: argparse.Namespace) -> None:
    """Write the folder, and say what is in it."""
    from wavetag import model_folder, release

    folder = _trained(arguments.model)
    if arguments.out.exists() and any(arguments.out.iterdir() if arguments.out.is_dir() else [arguments.out]):
        raise ValueError(f"{arguments.out}: is there already, and not empty: name a new folder")
    root, name = folder.parent.parent, folder.name
    path = arguments.metrics or root / "metrics" / f"{name}.json"
    if arguments.metrics is None and not path.is_file():
        print(f"{path}: no such file: the model card will have no scores")
        metrics, rows = None, []
    else:
        metrics, rows = release.read_metrics(path), release.read_table(path.parent / "tags" / f"{name}.csv")
    split = root / "data/split/split.tsv"
    trained = model_folder.about(folder)
    model_folder.check(trained, folder / "config.json")
    own = root / "data/splits" / str(trained["config"].get("split", "main")) / "split.tsv"
    found = [path for path in (own, split, Path("data/split/split.tsv")) if path.is_file()]
    about = release.release(folder, arguments.out, metrics, rows, release.count(found[0]) if found else None)
    print(
        f"{arguments.out}: {about['name']}, the network of seed {about['seed']}; what it is: {arguments.out}/README.md"
    )


def _trained(wanted: str) -> Path:
    """A folder as training left it: by its path, or by its name in the pipeline."""
    from wavetag import model_folder

    named = Path("models") / wanted
    return named if (named / "config.json").is_file() else model_folder.find(wanted)
