"""What counts as code: all but comments, docstrings and blank lines."""

import ast
import errno

import pytest

from wavetag import files, sources

MODULE = '''"""A module."""

import os  # for paths


# a comment of its own
class Thing(Exception):
    """All that it has."""


async def make(size: int = 3) -> str:
    """Make it.

    Args:
        size: in metres.
    """
    text = """kept {blanks}

# kept too
"""
    return f"""{size}

#""" + text + "# no comment"  # but this is


def naïve(): "é, all that it has"
'''.replace("{blanks}", "  ")  # which editors take away


def test_comments_docstrings_and_blank_lines_do_not_count():
    assert sources.code(MODULE) == (
        "import os\n"
        "class Thing(Exception):\n"
        "    pass\n"
        "async def make(size: int = 3) -> str:\n"
        '    text = """kept   \n\n# kept too\n"""\n'
        '    return f"""{size}\n\n#""" + text + "# no comment"\n'
        "def naïve(): pass\n"
    )


@pytest.mark.parametrize(
    "edit",
    [
        ("A module.", "Another module, said\nat length."),
        ("All that it has.", "All é."),
        ("in metres", "in feet"),
        ("  # for paths", ""),
        ("# a comment of its own\n", ""),
        ("paths\n\n\n", "paths\n\n"),
        ('    """All that it has."""', "    pass"),
    ],
)
def test_what_is_said_about_code_may_change(edit):
    assert MODULE.count(edit[0]) == 1
    assert sources.code(MODULE.replace(*edit)) == sources.code(MODULE)


@pytest.mark.parametrize(
    "edit",
    [("size: int = 3", "size: int = 4"), ("kept   ", "kept"), ("# kept too", "# kept"), ("# no comment", "#")],
)
def test_what_runs_may_not(edit):
    assert MODULE.count(edit[0]) == 1
    assert sources.code(MODULE.replace(*edit)) != sources.code(MODULE)


def test_every_module_of_the_package_does_the_same_without_them():
    """Their syntax trees are the same, but for the docstrings, where they stood alone ``pass``."""

    class Bare(ast.NodeTransformer):
        def generic_visit(self, node):
            super().generic_visit(node)
            of_body = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            if isinstance(node, of_body) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
            return node

    modules = sorted(sources.PACKAGE.rglob("*.py"))
    assert len(modules) > 50
    for path in modules:
        text = path.read_text()
        assert ast.dump(ast.parse(sources.code(text))) == ast.dump(Bare().visit(ast.parse(text))), path


def test_a_file_whose_code_is_the_same_keeps_its_date_and_one_of_no_module_goes(tmp_path, monkeypatch):
    package, out = tmp_path / "package", tmp_path / "out"
    (package / "inner").mkdir(parents=True)
    (package / "one.py").write_text("'''One.'''\na = 1\n")
    (package / "inner/two.py").write_text("b = 2\n")
    monkeypatch.setattr(sources, "PACKAGE", package)
    sources.write(out)
    assert (out / "one.py").read_text() == "a = 1\n"
    dates = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    (package / "one.py").write_text("'''The first.'''\na = 1  # one\n")
    sources.write(out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == dates
    (out / "one.py").write_bytes(b"\x99")  # damaged
    sources.write(out)
    assert (out / "one.py").read_text() == "a = 1\n"
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == dates | {
        out / "one.py": (out / "one.py").stat().st_mtime_ns
    }
    (package / "one.py").write_text("a = 2\n")
    (package / "inner/two.py").unlink()
    sources.write(out)
    assert (out / "one.py").read_text() == "a = 2\n"
    assert [path.name for path in out.rglob("*")] == ["one.py"]


def test_code_that_cannot_all_be_written_stays_as_it_was(tmp_path, monkeypatch):
    package, out = tmp_path / "package", tmp_path / "out"
    package.mkdir()
    (package / "one.py").write_text("a = 1\n")
    (package / "two.py").write_text("b = 1\n")
    monkeypatch.setattr(sources, "PACKAGE", package)
    sources.write(out)
    (package / "one.py").write_text("a = 2\n")
    (package / "two.py").write_text("b = 2\n")
    write = files.write_text

    def until_the_disk_is_full(path, text):
        if path.name == "two.py":
            raise OSError(errno.ENOSPC, "full")
        write(path, text)

    monkeypatch.setattr(files, "write_text", until_the_disk_is_full)
    with pytest.raises(OSError, match="full"):
        sources.write(out)
    assert [(out / name).read_text() for name in ("one.py", "two.py")] == ["a = 1\n", "b = 1\n"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "package"] == ["out"]
