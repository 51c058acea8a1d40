"""``wavetag serve``: a page on this machine to try a model."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from wavetag.commands import complain

_complain = partial(complain, "serve")
PORT = 8420
DATA = Path("data/raw")
SPLIT = Path("data/split/split.tsv")
MOST_MEGABYTES, MOST_SECONDS = 100, 900
MOST_JOBS = 2  # by default: each holds a model


def options(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Show a page to try a model: drop a sound, see its tags over time, hear the place that is clicked."""
    parser.add_argument("--model", metavar="NAME or FOLDER", help="by default the best one on the validation clips")
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen; by default %(default)s, so that only this machine can ask"
    )
    parser.add_argument("--port", type=int, default=PORT, help="%(default)s by default; 0 for any that is free")
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        help="open the page in a browser; by default where a terminal and a screen are",
    )
    parser.add_argument(
        "--clips",
        type=Path,
        metavar="FOLDER",
        help=f"a dataset or sound files to choose from; by default {DATA}/NAME of the model's dataset, if it is there",
    )
    parser.add_argument(
        "--most-megabytes", type=float, default=MOST_MEGABYTES, metavar="MB", help="of a file; %(default)s"
    )
    parser.add_argument(
        "--most-seconds", type=float, default=MOST_SECONDS, metavar="SECONDS", help="of sound in a file; %(default)s"
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--jobs", type=int, default=min(MOST_JOBS, cores), metavar="N", help="files at a time; %(default)s"
    )
    return run


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; 0 then."""
    for option in ("most_megabytes", "most_seconds"):
        value = getattr(arguments, option)
        if not (0 < value < math.inf):
            raise ValueError(f"--{option.replace('_', '-')} {value:g}: more than 0 is allowed")
    if arguments.jobs < 1:
        raise ValueError(f"--jobs {arguments.jobs}: 1 or more is allowed")
    if not 0 <= arguments.port <= 65535:
        raise ValueError(f"--port {arguments.port}: 0 to 65535 is allowed")

    from wavetag import model_folder

    folder = model_folder.find(arguments.model).absolute()

    import asyncio
    import tempfile

    from wavetag import serving
    from wavetag.serving_crew import Crew

    limits = serving.Limits(arguments.most_megabytes, arguments.most_seconds)
    crew = Crew(folder, arguments.jobs, limits.work_seconds)
    with serving.bind(arguments.host, arguments.port) as listening:
        address = serving.address(listening)
        try:
            facts = crew.begin()
            clips = _clips(crew, facts, arguments.clips)
            if not serving.is_loopback(listening):
                _complain(f"--host {arguments.host}: whoever reaches this machine can use the page and hear its clips")
            with tempfile.TemporaryDirectory(prefix="wavetag-serve-") as uploads:
                server = serving.Server(crew, facts, clips, limits, listening, arguments.host, Path(uploads))

                def listens() -> None:
                    print(f"wavetag serve: {facts['model']} is at {address} until Ctrl-C", flush=True)
                    if _is_to_open(arguments.open):
                        _open(address)

                asyncio.run(serving.until_stopped(server, listens))
        finally:
            crew.end()
    return 0


def _clips(crew: Any, facts: dict[str, Any], wanted: Path | None) -> Any:
    """The clips to choose from; None if none were asked for and the model's dataset is not there."""
    from wavetag import serving_work

    folder = wanted
    if folder is None:
        name = facts["dataset"]
        if not name or Path(name).name != name or not (DATA / name).is_dir():
            return None
        folder = DATA / name
    try:
        return crew.do_first(serving_work.clips, folder.absolute(), SPLIT.absolute())
    except ValueError as error:
        if wanted is not None:
            raise ValueError(f"--clips {error}") from error
        _complain(f"no clips to choose from: {error}")
        return None


def _is_to_open(wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return screen and sys.stdout.isatty()


def _open(address: str) -> None:
    """In the background: some browsers keep who starts them waiting."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
