"""Experiments that DVC runs in copies of the repository (``dvc exp run --queue`` and ``--temp``): the data they share.

DVC keeps neither the dataset nor the arrays, so that a copy has none. It takes those of the repository that it is a
copy of, where they are what it would make itself, instead of making gigabytes anew for each experiment.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from wavetag import files


def origin(folder: Path) -> Path | None:
    """The repository of which ``folder`` is the copy of an experiment; None if it is none."""
    place = folder.resolve()
    holder = place.parent.parent if place.parent.name == "standalone" else place.parent  # so of --temp
    if len(holder.parents) > 3 and holder.parts[-3:] == (".dvc", "tmp", "exps"):
        return holder.parents[2]
    return None


def taken(address: str) -> bool:
    """Take what a stage would write from the repository that this folder is a copy of, if it is whole and up to date.

    Files are linked, or copied where they cannot be or where DVC will keep them.

    Args:
        address: of the stage, as ``dvc.yaml`` names it.
    Returns:
        Whether that has been done: else the stage has to run. Everything that it reads, its settings and its code have
        to be as ``dvc.lock`` records them, and so does what was taken, by its sums.
    """
    repository = origin(Path.cwd())
    if repository is None:
        return False
    from dvc.repo import Repo

    with Repo(".") as repo, repo.lock:
        stage = repo.stage.load_one(name=address)
        if stage.cmd_changed or stage.changed_deps() or not all(out.hash_info for out in stage.outs):
            return False
        if not all((repository / out.def_path).exists() for out in stage.outs):
            return False
        for out in stage.outs:
            _bring(repository / out.def_path, Path(out.def_path), shutil.copyfile if out.use_cache else _link)
        if any(out.changed_checksum() for out in stage.outs):
            for out in stage.outs:
                _remove(Path(out.def_path))
            return False
    return True


def _bring(source: Path, target: Path, bring: Callable[[str, str], object]) -> None:
    """A file or a folder with all that is in it, under its name once it is whole."""
    if source.is_dir():
        with files.folder_written_whole(target) as folder:
            shutil.copytree(source, folder, copy_function=bring, dirs_exist_ok=True)
    else:
        with files.written_whole(target) as file:
            bring(str(source), str(file))


def _link(source: str, target: str) -> None:
    """The same file under another name; of a link another to where it leads."""
    if Path(source).is_symlink():
        Path(target).symlink_to(Path(source).resolve())
        return
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without such links
        shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
