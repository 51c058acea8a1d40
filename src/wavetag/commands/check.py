"""``wavetag check``: whether all that the pipeline wrote is still what it wrote."""

import argparse
from collections.abc import Callable


def options(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Hold every file that a stage wrote, and DVC's cache, against the sums in dvc.lock; 1 if one is damaged."""
    parser.add_argument(
        "--read-all", action="store_true", help="read files, too, that look as when they were last read (a bad disk)"
    )
    return run


def run(arguments: argparse.Namespace) -> int:
    """Name what is damaged; the next `snakemake all` makes it again."""
    from wavetag import integrity, pipeline

    settings, _ = pipeline.load_settings()
    try:
        found = pipeline.check_files(settings, pipeline.load_stages(settings), arguments.read_all)
    except integrity.IntegrityError as error:
        raise ValueError(str(error)) from error
    if not found.damaged and not found.objects:
        print("all that stages wrote is as they wrote it")
        return 0
    print("the next `snakemake --cores 4 all` makes it again, or takes it out of DVC's cache")
    return 1
