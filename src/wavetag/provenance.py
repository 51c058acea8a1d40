"""Settings and code that are edited while a stage runs: DVC would record what it made as made of those.

A stage reads its settings, and imports its code, when it begins; DVC takes both down when it has ended.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from wavetag import sources

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class EditedError(RuntimeError):
    """What a stage depends on is not what it began with; the message names it."""


class Basis:
    """What a stage depends on that people edit, as it is now.

    Args:
        address: of the stage, as DVC has it: ``train@base``, ``suites/open/dvc.yaml:train@crnn``.
        words: of the stage's command.
    """

    def __init__(self, address: str, words: Sequence[str] = ()) -> None:
        self.stage, self.item = _stage(address, words)
        self.modules = list(_modules(self.stage))
        self.known = self._now()

    def _now(self) -> dict[str, Any]:
        sums = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.modules if path.is_file()}
        return {**dict(_settings(self.stage, self.item)), **sums}

    def check_code(self) -> None:
        """Refuse to begin with code that is not what DVC will record: ``data/code`` was written from another.

        Raises:
            EditedError: a module that the stage depends on has been edited since.
        """
        stamp = sources.STAMP  # Snakemake has it from when it began: where it is still right nothing has to be compared
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == sources.listing():
            return
        for path in self.modules:
            module = path.relative_to(sources.CODE)
            there = (sources.PACKAGE / module).is_file()
            if not there or sources.of_module(str(module.with_suffix(""))) != path.read_bytes():
                raise EditedError(
                    f"{path} was not taken from src/wavetag/{module} as that is now: it has been edited since, in the"
                    " midst of a run or before `dvc repro -s`. Run `snakemake` or `dvc repro` again"
                )

    def check(self) -> None:
        """Refuse to end where what DVC is about to record is not what the stage began with.

        Raises:
            EditedError: names the settings and the modules.
        """
        try:
            now = self._now()
        except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
            raise EditedError(f"settings were edited while this ran, and cannot be read: {error}") from error
        if edited := [name for name in self.known.keys() | now.keys() if self.known.get(name) != now.get(name)]:
            raise EditedError(
                f"edited while this ran: {', '.join(sorted(edited))}. What it made is of what was there before, and not"
                " recorded; the same command makes it again"
            )


def _stage(address: str, words: Sequence[str]) -> tuple[dict[str, Any], str]:
    """A stage of a dvc.yaml, and what it is repeated for.

    The path in an address is from where DVC was called, and left out where that was beside the dvc.yaml: in a suite's
    folder, too, whose stages have paths of that suite among their words.
    """
    path, _, name = address.rpartition(":")
    name, _, item = name.partition("@")
    suites = [Path(path).parent.name] if path else [Path(word).parts[1] for word in words if word.startswith("suites/")]
    for place in (Path("suites", suite, "dvc.yaml") for suite in suites):
        if place.is_file() and name in (stages := _read(place)["stages"]):
            break
    else:
        stages = _read(Path("dvc.yaml"))["stages"]
    return stages[name].get("do", stages[name]), item


def _read(path: Path) -> Any:
    return yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 (it is a SafeLoader)


def _settings(stage: Mapping[str, Any], item: str) -> Iterator[tuple[str, Any]]:
    """Name and value of each setting that a stage depends on; of one that is not there, none."""
    for listed in stage.get("params", ()):
        for path, names in listed.items() if isinstance(listed, dict) else [("params.yaml", [listed])]:
            settings = _read(Path(path))
            for name in (name.replace("${key}", item) for name in names):
                value = settings
                for part in name.split("."):
                    value = value.get(part) if isinstance(value, dict) else None
                yield f"{name} ({path})", value


def _modules(stage: Mapping[str, Any]) -> Iterator[Path]:
    """The files of ``data/code`` that a stage depends on."""
    for dep in stage.get("deps", ()):
        if (path := Path(dep)).is_relative_to(sources.CODE):
            yield from sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
