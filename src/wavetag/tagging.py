"""Many files tagged side by side: each gets its tags or the reason why not, and none holds up the others."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from wavetag import audio, processes
from wavetag.model import Heard, Model

# files of sound or film that libsndfile does not read: in a folder they are told of, not passed over in silence
UNREAD = frozenset(f".{kind}" for kind in "aac ac3 ape dff dsf m4a m4b mka mp4 mpc ra tta webm wma wv".split())  # noqa: SIM905


@dataclass(frozen=True)
class Tagged:
    """One file, and what was heard in it or why nothing was."""

    path: Path
    heard: Heard | None
    error: str = ""


def suffixes() -> frozenset[str]:
    """Endings, with a point and in small letters, of the names of files that libsndfile reads."""
    import soundfile

    kinds = {f".{kind.lower()}" for kind in soundfile.available_formats()}
    return frozenset(kinds - {".raw"}) | {".aif", ".aifc", ".oga", ".opus", ".snd", ".wave", ".mp2", ".mp1"}


def gather(paths: Iterable[str | Path]) -> tuple[list[Path], list[str]]:
    """The files to tag, in order, each once: of a folder those within it, at any depth, whose ending says sound.

    Args:
        paths: files and folders. A file that is named is taken whatever its ending.

    Returns:
        The files; and what was left out, a line each: folders without any, and files that cannot be read.
    """
    wanted, known = {}, suffixes()
    problems = []
    for path in map(Path, paths):
        if not _is_folder(path):
            wanted.setdefault(path)
            continue
        within = sorted(_walk(path))
        found = [file for file in within if file.suffix.lower() in known]
        unread = [file for file in within if file.suffix.lower() in UNREAD]
        wanted |= dict.fromkeys(found)
        if unread:
            kinds = ", ".join(sorted({file.suffix.lower() for file in unread}))
            count = f"{len(unread)} file{'s' if len(unread) > 1 else ''}"
            problems.append(f"{path}: {count} left out that libsndfile does not read ({kinds}): convert them first")
        elif not found:
            problems.append(f"{path}: no audio file in this folder")
    return list(wanted), problems


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # of a name that is longer than names can be, say: what is wrong is told when it is read
        return False


def _walk(folder: Path) -> Iterator[Path]:
    """Files at any depth; none that is hidden, and no folder twice where links lead in a circle."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place) / name for name in names if not name.startswith("."))


def tag_one(model: Model, path: Path, over_time: bool = False, hop: float | None = None) -> Tagged:
    """Tag one file; what is wrong with it is told in the result."""
    try:
        return Tagged(path, model.hear(path, over_time=over_time, hop=hop))
    except audio.AudioError as error:
        return Tagged(path, None, str(error))
    except OSError as error:
        return Tagged(path, None, error.strerror or str(error))


def tag_files(
    model: Model,
    paths: Sequence[Path],
    jobs: int = 1,
    over_time: bool = False,
    hop: float | None = None,
    done: Callable[[], None] = lambda: None,
) -> Iterator[Tagged]:
    """Tag files side by side.

    A file that ends the process which decodes it costs that file alone.

    Args:
        model: that tags.
        paths: of the files.
        jobs: processes; with one, or for one file, this process does it.
        over_time, hop: as of ``Model.hear``.
        done: called after each file, whatever came of it.

    Yields:
        One result a file, in their order.
    """
    if min(jobs, len(paths)) <= 1:
        for path in paths:
            tagged = tag_one(model, path, over_time, hop)
            done()
            yield tagged
        return
    yield from _Side(model, min(jobs, len(paths)), over_time, hop, done).run(paths)


class _Side:
    """Processes side by side, and begun anew when one of them has died."""

    def __init__(self, model: Model, jobs: int, over_time: bool, hop: float | None, done: Callable[[], None]):
        self.arguments, self.jobs, self.done = (model, over_time, hop), jobs, done

    def _pool(self, jobs: int):
        return processes.pool(jobs, "fork", _take, self.arguments)

    def run(self, paths: Sequence[Path]) -> Iterator[Tagged]:
        """One result a path, in order; not many more are under way than are asked for."""
        results: dict[int, Tagged] = {}
        waiting, following = deque(enumerate(paths)), 0
        pool, running = self._pool(self.jobs), {}
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self.jobs and waiting[0][0] < following + 64 * self.jobs:
                    number, path = waiting.popleft()
                    running[pool.submit(_tag, path)] = (number, path)
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                broken = self._take_in(ended, running, results)
                if broken:
                    broken += list(running.values())
                    running.clear()
                    pool.shutdown(wait=True, cancel_futures=True)
                    for number, path in sorted(broken):
                        results[number] = self._alone(path)
                        self.done()
                    pool = self._pool(self.jobs)
                while following in results:
                    yield results.pop(following)
                    following += 1
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _take_in(self, ended: Iterable[Future], running: dict, results: dict[int, Tagged]) -> list[tuple[int, Path]]:
        """Put results where they belong; which were under way when a process died."""
        broken = []
        for future in ended:
            number, path = running.pop(future)
            try:
                results[number] = future.result()
                self.done()
            except BrokenProcessPool:
                broken.append((number, path))
        return broken

    def _alone(self, path: Path) -> Tagged:
        """One file in a process of its own, to find out which it was."""
        with self._pool(1) as pool:
            try:
                return pool.submit(_tag, path).result()
            except BrokenProcessPool:
                return Tagged(path, None, "undecodable: the process that decoded it died")


_OF_WORKER: tuple[Model, bool, float | None] | None = None  # in a worker process, and nowhere else


def _take(*arguments) -> None:
    global _OF_WORKER
    _OF_WORKER = arguments


def _tag(path: Path) -> Tagged:
    assert _OF_WORKER is not None
    model, over_time, hop = _OF_WORKER
    return tag_one(model, path, over_time, hop)
