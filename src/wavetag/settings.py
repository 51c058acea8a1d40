"""Named settings: files in ``settings/`` whose values are put into ``params.yaml``, all else in it kept as it is.

Snakemake and DVC both read params.yaml and nothing else, so that a name does not stand for settings at run time: it is
a way to edit the file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from wavetag import files, params

FOLDER = Path("settings")
PATHS = ("dataset.source", "dataset.audio")  # made absolute: the pipeline takes them from the repository's top folder
SUGGESTIONS = 3

Pairs = dict[str, Any]


def named(folder: Path = FOLDER) -> dict[str, str]:
    """Names of the settings there are, and the first line of each file, which says what it is for.

    Raises:
        params.ParamsError: there is no such folder.
    """
    if not folder.is_dir():
        raise params.ParamsError(f"{folder}: no such folder; this is run from the repository's top folder")
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.yaml"))}
    return {name: text.partition("\n")[0].removeprefix("#").strip() for name, text in texts.items()}


def apply(
    wanted: Sequence[str],
    path: Path = params.PARAMS,
    schema: Path = params.SCHEMA,
    folder: Path = FOLDER,
) -> list[tuple[str, Any, Any]]:
    """Put settings into params.yaml, later ones over earlier ones; of the file only their values change.

    What another part of the file has from there by an alias or a merge changes with it, as it does when edited by hand.

    Names of datasets go first, then other names, then single settings, each in the order given. The file is written
    only if all of it is allowed then.

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
    if not path.is_file():
        raise params.ParamsError(f"{path}: no such file; this is run from the repository's top folder")
    content, pairs, changes = params.read_yaml(path), _pairs(wanted, folder), []
    _refuse_source_of_another(content, pairs)
    text = path.read_bytes().decode("utf-8")
    for key, value in pairs.items():
        before = _value(content, key, path)
        # 1 is not true, and 256.0 no whole number
        if repr(before) != repr(value):
            text = _with(text, key, value, path)
            content = yaml.safe_load(text)
            changes.append((key, before, value))
    if not changes:
        params.load(path, schema)
        return []
    with files.written_whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
        try:
            params.load(temporary, schema)
        except params.ParamsError as error:
            raise params.ParamsError(str(error).replace(str(temporary), str(path))) from error
    return changes


def summary(asked: Mapping[str, Any]) -> str:
    """What params.yaml, as ``params.load`` gives it, asks for, in a line."""
    dataset = asked["dataset"]
    configs = [params.config(asked, name) for name in asked["experiments"]]

    def each(key: str) -> str:
        return " or ".join(dict.fromkeys(str(config[key]).strip("[]") for config in configs))

    audio = f" and {dataset['audio']}" if dataset["audio"] is not None else ""
    return (
        f"{dataset['name']} from {dataset['source']}{audio}, vocabulary {vocabulary(asked)},"
        f" {' and '.join(map(str, asked['prepare']['sample_rates']))} Hz, scaling {each('scaling')}; experiments:"
        f" {len(configs)}, epochs: {each('epochs')}, seeds: {each('seeds')}"
    )


def vocabulary(asked: Mapping[str, Any]) -> str:
    """The name of the vocabulary, or how many tags are listed."""
    words = asked["split"]["vocabulary"]
    return words if isinstance(words, str) else f"of {len(words)} listed tags"


def flow(value: Any) -> str:
    """A value as it stands in YAML on one line, between brackets too; read alike by YAML 1.1 and 1.2 (DVC's)."""
    dumped = yaml.dump([value], Dumper=_Flow, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return dumped.strip()[1:-1]


class _Flow(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # to YAML 1.2 1e-3 and 0o17 are numbers
    number = params.is_number(text) or re.fullmatch("0o[0-7]+", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, '"' if "\n" in text else "'" if number else None)


_Flow.add_representer(str, _text)


def _pairs(wanted: Sequence[str], folder: Path) -> Pairs:
    """Key and value of every setting that is wanted, in the order in which they are put, the last one of a key."""
    datasets, others, single = [], [], []
    for word in wanted:
        if "=" in word:
            single.append(_single(word))
        else:
            pairs = _named(word, folder)
            (datasets if "dataset.name" in pairs else others).append(pairs)
    final: Pairs = {}
    for pairs in (*datasets, *others, *single):
        for key, value in pairs.items():
            final.pop(key, None)
            final[key] = _place(key, value) if key in PATHS and isinstance(value, str) else value
    return final


def _single(word: str) -> Pairs:
    key, _, value = word.partition("=")
    if key in PATHS and value != "null":  # a path may look like anything
        return {key: value}
    return {key: params.parsed(value, word)}


def _named(name: str, folder: Path) -> Pairs:
    there = named(folder)
    if name not in there:
        close = get_close_matches(name.casefold(), there, SUGGESTIONS)
        raise params.ParamsError(
            f"{name!r}: no such settings{_meant(close)}; there are {', '.join(there)}, and KEY=VALUE"
        )
    path = folder / f"{name}.yaml"
    content = params.read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(values, dict) for values in content.values()):
        raise params.ParamsError(f"{path}: {flow(content)} is not SECTION: {{KEY: VALUE}}, as in params.yaml")
    return {f"{section}.{key}": value for section, values in content.items() for key, value in values.items()}


def _place(key: str, path: str) -> str:
    """A path of the user's in full; one within the repository as it is."""
    if not path.strip():
        raise params.ParamsError(f"{key}: nothing was given; a file or folder is needed")
    try:
        full = Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise params.ParamsError(f"{key}: {path!r} was given: there is no such user") from error
    here = Path.cwd()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else str(full)


def _refuse_source_of_another(content: Any, pairs: Pairs) -> None:
    """A dataset is wanted in place of another, and its own source is not said."""
    before = content.get("dataset") if isinstance(content, Mapping) else None
    name = pairs.get("dataset.name")
    if name is None or "dataset.source" in pairs or not isinstance(before, Mapping) or name == before.get("name"):
        return
    raise params.ParamsError(
        f"dataset.source: {before.get('source')!r} is another dataset's; say where {name} is: dataset.source=FOLDER"
    )


def _found(content: Any, names: Sequence[str]) -> Any:
    """What stands under some names, one in the other; ``KeyError`` if one is not there."""
    for name in names:
        if not isinstance(content, Mapping):
            raise KeyError(name)
        content = content[name]
    return content


def _value(content: Any, key: str, path: Path) -> Any:
    try:
        return _found(content, key.split("."))
    except KeyError as error:
        hint = _meant(_close(content, key)) or _beside(content, key)
        raise params.ParamsError(f"{path}: there is no setting {key!r}{hint}") from error


def _close(content: Any, key: str) -> list[str]:
    """Keys that may have been meant: those of another section with the same last part, and those spelt nearly so."""
    section, _, last = key.rpartition(".")
    known = list(_keys(content))
    # what experiments have is as the defaults have it
    same = [other for other in known if other.rpartition(".")[2] == last and not other.startswith("experiments.")]
    beside = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == section}
    spelt = [beside[name] for name in get_close_matches(last, beside, SUGGESTIONS)]
    spelt = spelt or ([] if beside else get_close_matches(key, known, SUGGESTIONS, 0.75))
    return list(dict.fromkeys([*same, *spelt]))[:SUGGESTIONS]


def _keys(content: Any, prefix: str = "") -> Iterator[str]:
    """The full key of every value."""
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _beside(content: Any, key: str) -> str:
    """What there is in the innermost section that a key names and that is there."""
    *sections, _ = key.split(".")
    for count in range(len(sections), -1, -1):
        try:
            there = _found(content, sections[:count])
        except KeyError:
            continue
        if isinstance(there, Mapping):
            return f"; there are {', '.join('.'.join([*sections[:count], str(name)]) for name in there)}"
    return ""


def _meant(close: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _with(text: str, key: str, value: Any, path: Path) -> str:
    """The text of a YAML file with one value replaced, or put into an entry that had it from a merge.

    Raises:
        params.ParamsError: the value stands where this cannot reach it.
    """
    *sections, last = key.split(".")
    node, changed = yaml.compose(text), None
    for name in sections:
        node = _section(node, name)
    if node is not None:
        changed = _replaced(text, node, last, value)
    try:
        if changed is not None and repr(_found(yaml.safe_load(changed), [*sections, last])) == repr(value):
            return changed
    except (yaml.YAMLError, KeyError):
        pass
    raise params.ParamsError(f"{path}: {key} cannot be changed from here; write {last}: {flow(value)} into the file")


def _section(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """A section of a mapping; None if what stands there is an alias: others have it too."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == name and value.start_mark.index >= key.end_mark.index:
            return value
    return None


def _replaced(text: str, section: yaml.Node, name: str, value: Any) -> str | None:
    """The text with a value in a section replaced, or added where it was from a merge; None if it is no mapping."""
    if not isinstance(section, yaml.MappingNode):
        return None
    for key, node in section.value:
        if key.value == name:
            before, after = _around(text, key, node)
            return f"{before}{'' if before[-1].isspace() else ' '}{flow(value)}{after}"
    return _added(text, section, f"{name}: {flow(value)}")


def _around(text: str, key: yaml.Node, node: yaml.Node) -> tuple[str, str]:
    """What stands before and behind a value, its anchor and comments among it."""
    start, end = node.start_mark.index, node.end_mark.index
    colon = text.index(":", key.end_mark.index) + 1
    if start < key.end_mark.index:  # an alias: the node is where its anchor is
        return text[:colon], text[re.compile(r"\s*\*[^\s,\[\]{}]+").match(text, colon).end() :]
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        # the span of a block goes on to what follows it, comments included
        lines = text[start:end].splitlines(keepends=True)
        while not lines[-1].strip() or lines[-1].lstrip().startswith("#"):
            lines.pop()
        return text[:colon], text[colon:start].rstrip() + text[start + len("".join(lines).rstrip()) :]
    anchor = re.compile(r"&\S+\s+").match(text, start, end)
    start = anchor.end() if anchor else start
    return text[:start], text[start + len(text[start:end].rstrip()) :]


def _added(text: str, section: yaml.MappingNode, pair: str) -> str:
    """The text with a pair behind those of a section."""
    end = section.end_mark.index
    if section.flow_style:
        before = text[: end - 1].rstrip()
        return f"{before}{' ' if before.endswith(',') else ', '}{pair}{text[len(before) :]}"
    # behind the line of the first key, which is the merge
    key = section.value[0][0]
    line = re.compile(r"[^\r\n]*").match(text, key.end_mark.index).end()
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:line]}{newline}{' ' * key.start_mark.column}{pair}{text[line:]}"
