"""Named settings: files in ``settings/`` whose values are put into ``params.yaml``, its comments kept.

Snakemake and DVC both read params.yaml and nothing else, so that a name does not stand for settings at run time: it is
a way to edit the file.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from wavetag import files, params

FOLDER = Path("settings")
PATHS = ("dataset.source", "dataset.audio")  # made absolute: the pipeline takes them from the repository's top folder


def named(folder: Path = FOLDER) -> dict[str, str]:
    """Names of the settings there are, and the first line of each file, which says what it is for."""
    lines = {path.stem: path.read_text(encoding="utf-8").splitlines()[0] for path in sorted(folder.glob("*.yaml"))}
    return {name: line.removeprefix("#").strip() for name, line in lines.items()}


def apply(
    wanted: Sequence[str],
    path: Path = params.PARAMS,
    schema: Path = params.SCHEMA,
    folder: Path = FOLDER,
) -> list[tuple[str, Any, Any]]:
    """Put settings into params.yaml, later ones over earlier ones.

    The file is written only if all of it is allowed then.

    Args:
        wanted: names of settings, and single ones as ``SECTION.KEY=VALUE`` with VALUE as in YAML.
        path: params.yaml.
        schema: what it may hold.
        folder: with a file for each name.

    Returns:
        For each setting that changed its key, the value before and the value now.

    Raises:
        params.ParamsError: an unknown name or key, or a value that is not allowed.
    """
    from ruamel.yaml import YAML

    editor = YAML()
    editor.representer.add_representer(type(None), lambda of, _: of.represent_scalar("tag:yaml.org,2002:null", "null"))
    editor.preserve_quotes, editor.width = True, 4096
    editor.indent(mapping=2, sequence=4, offset=2)
    if not path.is_file():
        raise params.ParamsError(f"{path}: no such file; this is run from the repository's top folder")
    content, changes = editor.load(path.read_text(encoding="utf-8")), []
    for key, value in [pair for text in wanted for pair in _pairs(text, folder)]:
        *sections, last = key.split(".")
        section = content
        for name in sections:
            section = section.get(name) if isinstance(section, Mapping) else None
        if not isinstance(section, Mapping) or last not in section:
            raise params.ParamsError(f"{path}: there is no setting {key!r}")
        if key in PATHS and value is not None:
            value = _place(value)
        if section[last] != value:
            changes.append((key, section[last], value))
            section[last] = _in_style(value, section[last])
    text = io.StringIO()
    editor.dump(content, text)
    with files.written_whole(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
        try:
            params.load(temporary, schema)
        except params.ParamsError as error:
            raise params.ParamsError(str(error).replace(str(temporary), str(path))) from error
    return changes


def _pairs(text: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """Keys and values of a named file, or the one of ``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if equals:
        yield key, value if key in PATHS and value != "null" else yaml.safe_load(value)
        return
    if text not in named(folder):
        raise params.ParamsError(f"{text!r}: no such settings; there are {', '.join(named(folder))}, and KEY=VALUE")
    for section, values in yaml.safe_load((folder / f"{text}.yaml").read_text(encoding="utf-8")).items():
        for name, value in values.items():
            yield f"{section}.{name}", value


def _place(path: str) -> str:
    """A path of the user's in full; one within the repository as it is."""
    full = Path(path).expanduser().absolute()
    here = Path.cwd()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else str(full)


def _in_style(value: Any, before: Any) -> Any:
    """A list on one line, as lists of numbers stand in params.yaml."""
    if not isinstance(value, list):
        return value
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(value)
    sequence.fa.set_flow_style()
    return sequence
