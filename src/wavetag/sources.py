"""What source files do: their text without comments and docstrings, for stages to depend on.

A stage has to run again when its code changes, and need not when only what is said about it does.
"""

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parent


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


def write(out: Path) -> None:
    """Write the code of every module of this package under a folder, in folders as they are in.

    A file whose code is the same is left as it is, its date too; one whose module is gone is removed.
    """
    from wavetag import files

    modules = {path.relative_to(PACKAGE): path for path in sorted(PACKAGE.rglob("*.py"))}
    for module, path in modules.items():
        text = code(path.read_text(encoding="utf-8"))
        if not (out / module).is_file() or (out / module).read_text(encoding="utf-8") != text:
            files.write_text(out / module, text)
    for path in sorted(out.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(out) not in modules:
            path.unlink()
