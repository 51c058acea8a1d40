"""What source files do: their text without comments and docstrings, for stages to depend on.

A stage has to run again when its code changes, and need not when only what is said about it does.
"""

import ast
import hashlib
import io
import shutil
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parent
CODE = Path("data/code")  # what the stages depend on for their code, written by the stage of that name
STAMP = Path(".params/code.txt")  # the listing of package and code when one was last taken from the other


def code(text: str) -> str:
    """Python source without comments, docstrings and blank lines; the rest stands as it stood, spaces and all.

    Nothing is parsed and printed anew, as what is printed would differ between versions of Python.

    Raises:
        SyntaxError: it is not Python.
    """
    lines, tree = text.splitlines(), ast.parse(text)
    kept = set()  # lines that end within a string: their blanks and spaces count
    cuts = []  # from line, column to line, column, and what stands there instead
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            kept.update(range(node.lineno, node.end_lineno))
    for statement, alone in _docstrings(tree):
        kept.difference_update(range(statement.lineno, statement.end_lineno))
        start = _column(lines, statement.lineno, statement.col_offset)
        end = _column(lines, statement.end_lineno, statement.end_col_offset)
        cuts.append((statement.lineno, start, statement.end_lineno, end, "pass" if alone else ""))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            cuts.append((*token.start, *token.end, ""))
    for first, start, last, end, instead in sorted(cuts, reverse=True):
        lines[first - 1 : last] = [
            lines[first - 1][:start] + instead + lines[last - 1][end:],
            *[""] * (last - first),
        ]
    stripped = (line if number in kept else line.rstrip() for number, line in enumerate(lines, 1))
    return "".join(f"{line}\n" for number, line in enumerate(stripped, 1) if line or number in kept)


def _docstrings(tree: ast.Module) -> list[tuple[ast.Expr, bool]]:
    """The docstrings of a module and of all in it; and of each whether it is all that its body has."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            found.append((node.body[0], len(node.body) == 1 and not isinstance(node, ast.Module)))
    return found


def _column(lines: list[str], line: int, offset: int) -> int:
    """Characters before an offset that ``ast`` counts in bytes."""
    return len(lines[line - 1].encode()[:offset].decode())


def of_module(name: str) -> bytes:
    """The code of a module of this package, as UTF-8."""
    return code((PACKAGE / f"{name}.py").read_text(encoding="utf-8")).encode()


def listing() -> str:
    """What changes when a file of the repository's package does, or of what was taken as its code."""
    digest = hashlib.sha256()
    for folder in (Path("src/wavetag"), CODE):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write(out: Path) -> None:
    """Write the code of every module of this package as a folder, in folders as they are in, whole or not at all.

    A file whose code is the same keeps its date, and so does a folder of such. If all are, nothing is written.
    """
    from wavetag import files

    modules = {
        path.relative_to(PACKAGE): code(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))
    }
    same = {module for module, text in modules.items() if _reads(out / module, text)}
    if same == {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == set(modules):
        return
    with files.folder_written_whole(out) as folder:
        for module, text in modules.items():
            (folder / module).parent.mkdir(parents=True, exist_ok=True)
            if module in same:
                shutil.copy2(out / module, folder / module)
            else:
                files.write_text(folder / module, text)
        for inner in {module.parent for module in modules} - {Path()}:
            of_it = {module for module in modules if module.parent == inner}
            if of_it <= same and of_it == {path.relative_to(out) for path in (out / inner).glob("*.py")}:
                shutil.copystat(out / inner, folder / inner)


def _reads(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
