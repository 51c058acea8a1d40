"""Bad input, made from good: each function takes a source of chance and gives the bytes of a file.

The same functions serve the quick tests (``tests/test_bad_input.py``), where hypothesis is the source of chance and
shrinks what fails, and the long runs (``tests/fuzz/run.py``).
"""

import io
import json
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import yaml

NUMBERS = (0, 1, -1, 2, 127, 255, 256, 32_767, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**64, 10**30)
WORDS = (  # what a field of text may hold
    *("", " ", "0", "-1", "1e999", "-1e-999", "nan", "inf", "1_000", "0x10", "1" * 400, "9" * 5000, "0x" + "f" * 5000),
    *("\0", "a\0b", "\t", "\n", "\r\n", '"', "'", '"""', ",", ";", "|", "\\", "\ufeff", "\u2028", "\x1b[2J", "\x85"),
    *("..", "../../etc/passwd", "/etc/passwd", "/dev/zero", "~", "~nobody-here/x", "C:\\x", "a/" * 300, "a" * 300),
    *(
        "é",
        "e\u0301",
        "\U0001f3b5",
        "\u202e",
        "İ",
        "名前",
        "a" * 70_000,
        "=1+1",
        "@SUM(A1)",
        "<script>",
        "`x`",
        "{{1+1}}",
    ),
    *(
        "${dataset.name}",
        "${",
        "{wildcards.name}",
        "{",
        "}",
        "$(touch x)",
        "`touch x`",
        "; touch x;",
        "%s",
        "%n",
        "{0}",
    ),
    *("null", "true", "no", "~", "2001-13-45", "12:30:45", "#t=5,1", "0/a.mp3#t=1,2", f"0/a.mp3#t={'9' * 400},1"),
    *("clip_id", "mp3_path", "path", "tags", "split", "artist"),
)
TAGGED = (  # YAML that asks for something else than plain values
    *("!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!python/object/new:os.system [x]"),
    *("!!timestamp x", "!!bool x", "!!int ''", "!!float x", "!!binary x", "!!set {a, b}", "!!omap [a: 1]", "!!pairs x"),
    *("!!map x", "!!seq x", "!!str {a: 1}", "!unknown x", "&a [*a]", "&a {b: *a}", "*nowhere", "<<: *nowhere"),
    *(
        "? [a, b]\n: 1",
        "{1: 2}",
        "{null: 2}",
        "{true: 1}",
        "{a: 1, a: 2}",
        "1:1:1:1:1",
        "0b" + "1" * 20_000,
        "2024-02-31",
    ),
)


def value(random: Random, depth: int = 0) -> Any:
    """Any value that JSON has, mostly such as nobody expects."""
    kind = random.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return random.choice(NUMBERS) * random.choice((1, -1))
    if kind == 1:
        return random.choice((0.0, -0.0, 1e308, 5e-324, float("nan"), float("inf"), -float("inf"), 0.5, 1e-3))
    if kind in (2, 3):
        return random.choice(WORDS)
    if kind == 4:
        return random.choice((None, True, False))
    if kind == 5:
        return random.choice(((), {}))
    if kind in (6, 7):
        return [value(random, depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(WORDS[:60]): value(random, depth + 1) for _ in range(random.randrange(3))}


def with_changes(tree: Any, random: Random) -> Any:
    """A tree of mappings and lists with some of its places given other values, taken out, or put twice."""
    tree = pickle.loads(pickle.dumps(tree))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        place = tree
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = random.choice(keys)
            within = place[key]
            if not (isinstance(within, dict | list) and within) or random.random() < 0.2:
                what = random.randrange(8)
                if what == 0:
                    del place[key]
                elif what == 1 and isinstance(place, list):
                    place.insert(key, within)
                elif what == 2 and isinstance(place, dict):
                    place[random.choice(WORDS)] = within
                else:
                    place[key] = value(random)
                break
            place = within
    return tree


def deep(opening: str, closing: str, random: Random) -> bytes:
    """Brackets in brackets."""
    levels = random.choice((50, 900, 3_000, 60_000))
    return (opening * levels + closing * (levels if random.random() < 0.7 else 0)).encode()


def binary(seeds: Sequence[bytes], random: Random, most: int = 8) -> bytes:
    """One of some files with bytes, numbers and pieces changed, or cut short."""
    content = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, most)):
        if not content:
            break
        # headers lie at the start: half of all changes do too
        place = random.randrange(min(len(content), 96) if random.random() < 0.5 else len(content))
        what = random.randrange(7)
        if what == 0:
            content[place] ^= 1 << random.randrange(8)
        elif what == 1:
            content[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif what == 2:
            size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
            content[place : place + size] = (random.choice(NUMBERS) % 256**size).to_bytes(size, order)
        elif what == 3:
            del content[place : place + random.choice((1, 2, 4, 64, 4096))]
        elif what == 4:
            piece = content[place : place + random.choice((1, 4, 64, 1024))]
            content[place:place] = piece * random.choice((1, 2, 16))
        elif what == 5:
            del content[place:]
        else:
            content[place:place] = random.randbytes(random.choice((1, 2, 4, 16)))
    return bytes(content)


def text(seeds: Sequence[bytes], random: Random, separators: str = "\t,;:|") -> bytes:
    """One of some texts with cells, lines and characters changed, or in another encoding."""
    content = random.choice(seeds).decode()
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        lines = content.split("\n")
        row = random.randrange(len(lines))
        what = random.randrange(9)
        if what <= 3:  # a cell
            marks = [mark for mark in separators if mark in lines[row]] or ["\n"]
            mark = random.choice(marks)
            cells = lines[row].split(mark)
            cell = random.randrange(len(cells))
            if what == 0:
                del cells[cell]
            elif what == 1:
                cells.insert(cell, random.choice((cells[cell], *WORDS)))
            else:
                quote = '"' if cells[cell][:1] == '"' and random.random() < 0.7 else ""
                cells[cell] = f"{quote}{random.choice(WORDS)}{quote}"
            lines[row] = mark.join(cells)
        elif what == 4:
            del lines[row]
        elif what == 5:
            lines.insert(row, random.choice(lines))
        elif what == 6:
            other = random.randrange(len(lines))
            lines[row], lines[other] = lines[other], lines[row]
        elif what == 7:
            place = random.randrange(len(lines[row]) + 1)
            lines[row] = lines[row][:place] + random.choice(WORDS) + lines[row][place:]
        else:
            lines = lines[:row]
        content = random.choice(("\n", "\n", "\n", "\n", "\r\n", "\r")).join(lines)
    encoding = random.choice(("utf-8",) * 12 + ("utf-16", "latin-1", "utf-8-sig"))
    encoded = content.encode(encoding, "replace")
    return encoded if random.random() < 0.85 else binary([encoded or b" "], random, most=2)


def as_yaml(seeds: Sequence[bytes], random: Random) -> bytes:
    """YAML with other values, with tags and aliases where they do not belong, or deep in brackets."""
    what = random.randrange(8)
    if what <= 3:
        tree = with_changes(yaml.safe_load(random.choice(seeds)), random)
        return yaml.safe_dump(_plain(tree), sort_keys=False, allow_unicode=random.random() < 0.5).encode()
    if what == 4:
        lines = random.choice(seeds).decode().split("\n")
        row = random.randrange(len(lines))
        name, colon, _ = lines[row].partition(":")
        lines[row] = f"{name}{colon or ':'} {random.choice(TAGGED)}"
        return "\n".join(lines).encode()
    if what == 5:
        return random.choice((b"", random.choice(seeds))) + deep(
            *random.choice(("[]", ("{a: ", "}"), ("- ", ""))), random
        )
    if what == 6:  # lists of lists of lists by aliases: small in the file, endless when they are written out
        merged = random.random() < 0.4
        lines = ["a0: &a0 {k: v, l: w}" if merged else "a0: &a0 [x, x, x, x, x, x, x, x]"]
        for level in range(1, random.choice((3, 8, 12))):
            others = ", ".join([f"*a{level - 1}"] * 9)
            lines.append(f"a{level}: &a{level} " + (f"{{<<: [{others}]}}" if merged else f"[{others}]"))
        where = random.choice(("experiments: {a: *a1}", "dataset: *a1", "defaults: *a1", "x: *a1"))
        return ("\n".join([*lines, where.replace("a1", f"a{level}")]) + "\n").encode() + random.choice((b"", seeds[0]))
    return text(seeds, random, separators=":,")


def _plain(tree: Any) -> Any:
    """Without tuples, which YAML would write with a tag."""
    if isinstance(tree, dict):
        return {key: _plain(item) for key, item in tree.items()}
    return [_plain(item) for item in tree] if isinstance(tree, list | tuple) else tree


def as_json(seeds: Sequence[bytes], random: Random) -> bytes:
    """JSON with other values, numbers without end, and brackets without end."""
    what = random.randrange(8)
    if what <= 4:
        tree = with_changes(json.loads(random.choice(seeds)), random)
        return json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    if what == 5:
        lone = rb'"\ud800"', b"1e400", b"-" * 9, b"9" * 5_000, b"NaN", b'{"a": 1, "a": 2}', b"Infinity"
        tokens = random.choice(seeds).split(b", ")
        place = random.randrange(len(tokens))
        tokens[place] = tokens[place].split(b": ")[0] + b": " + random.choice(lone)
        return b", ".join(tokens)
    if what == 6:
        return deep(*random.choice(("[]", ('{"a": ', "}"))), random)
    return text(seeds, random, separators=",:")


def as_pickle(seeds: Sequence[bytes], random: Random) -> bytes:
    """A pickle with instructions changed, or with such in it as call what they name."""
    content = random.choice(seeds)
    if random.random() < 0.5:
        return binary([content], random, most=4)
    places = [place for _, _, place in pickletools.genops(content)]
    calls = (
        b"cos\nsystem\n(S'true'\ntR",
        b"(S'true'\nios\nsystem\n",
        b"(cos\nsystem\nS'true'\no",
        b"\x82\x01",
        b"\x83\xff\xff",
        b"\x84\xff\xff\xff\x7f",
        b"Poutside\n",
        b"Q",
        b"\x96" + (2**62).to_bytes(8, "little"),
        b"\x8e" + (2**62).to_bytes(8, "little"),
        b"\x8d" + (2**40).to_bytes(8, "little"),
        b"X\xff\xff\xff\x7f",
        b"r\xff\xff\xff\xff",
        b"L" + b"9" * 5_000 + b"L\n",
        b"\x8b\xff\xff\xff\x7f",
        b"\x95" + b"\xff" * 8,
        b"2" * 60,
        b"0",
        b"1",
        b"a",
        b"s",
        b"b",
        b"R",
        b"\x81",
        b"\x92",
        b"]" * 3_000 + b"a" * 2_999,
        b"(" * 3_000 + b"l" * 3_000,
        b"h\xff",
        b"\x97",
        b"\x98",
    )
    parts = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.choice(places)
        if random.random() < 0.3:
            other = random.choice(places)
            parts[place:place] = parts[min(place, other) : max(place, other)]
        else:
            parts[place:place] = random.choice(calls)
    return bytes(parts)


def as_npy(seeds: Sequence[bytes], random: Random) -> bytes:
    """An array whose header says something else than what follows."""
    if random.random() < 0.3:
        return binary(seeds, random, most=4)
    descr = random.choice(("'<i2'", "'<f4'", "'|O'", "'<f8'", "'<c8'", "'|S2147483647'", "'<M8[s]'", "[('a', '<i2')]"))
    descr = random.choice((descr, "'<i2'", "'<f2'", "'>i2'", "'|V9'", "[]", "None", "'<i2', 'x': 1", "(('<i2', (9,)))"))
    sizes = (0, 1, 4, 40, -1, 10**6, 2**31, 2**40, 2**62, 2**64, "True", "'a'", "None", "1.0")
    shape = ", ".join(str(random.choice(sizes)) for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 40))))
    header = (
        f"{{'descr': {descr}, 'fortran_order': {random.choice(('False', 'True', '1', 'None'))}, 'shape': ({shape},)}}"
    )
    if random.random() < 0.1:
        header = random.choice(
            ("(" * 2_000, "[" * 90 + "]" * 90, "-" * 5_000 + "1", "{" * 50, "'" + "x" * 12_000, "{1}")
        )
    encoded = header.encode() + b" " * random.choice((0, 5, 64)) + b"\n"
    version = random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
    length = random.choice((len(encoded), len(encoded), len(encoded), 0, 65_535))
    size = struct.pack("<H" if version == (1, 0) else "<I", length)
    return b"\x93NUMPY" + bytes(version) + size + encoded + random.randbytes(random.choice((0, 7, 80, 4_000)))


def as_npz(seeds: Sequence[bytes], random: Random) -> bytes:
    """Named arrays, among them such as hold a pickle, or text that is no JSON."""
    if random.random() < 0.4:
        return binary(seeds, random, most=6)
    with np.load(io.BytesIO(random.choice(seeds)), allow_pickle=False) as known:
        members = {name: _npy(known[name]) for name in known.files}
    name = random.choice(list(members))
    what = random.randrange(5)
    if what == 0:
        members[name] = as_npy([members[name]], random)
    elif what == 1:
        del members[name]
    elif what == 2:
        members[name] = _npy(np.array([{"a": 1}], dtype=object))
    elif what == 3:
        members["metrics"] = _npy(np.array(as_json([b'{"roc_auc": 0.5}'], random).decode("utf-8", "replace")))
    else:
        members[random.choice(WORDS[:40]) or "x"] = members[name]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, content in members.items():
            archive.writestr(f"{member}.npy".replace("\0", "") or "x", content)
    return made.getvalue()


def _npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def as_zip(seeds: Sequence[bytes], random: Random) -> bytes:
    """An archive with members of any name, kind and size, and of any compression."""
    if random.random() < 0.4:
        return binary(seeds, random, most=6)
    names = (
        *("0/a.mp3", "0/b.mp3", "0/c.mp3", "../out.mp3", "/tmp/out.mp3", "0/../../out.mp3", "0\\a.mp3", "C:/a.mp3"),
        *(
            "0",
            "0/",
            ".",
            "..",
            "a" * 300,
            "a/" * 3_000 + "b",
            "a/" * 30_000 + "b",
            "a" * 60_000,
            "é.mp3",
            "\udce9.mp3",
        ),
        *("0/a.mp3/b.mp3", "//x", "a\nb", "con", "\x01", "0/a.mp3 ", "0//a.mp3", "./0/a.mp3", "0/./a.mp3"),
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for _ in range(random.choice((1, 2, 3, 5))):
            member = zipfile.ZipInfo("x")
            member.filename = random.choice(names)
            member.compress_type = random.choice((0, 8, 8, 12, 14))
            member.external_attr = random.choice((0, 0o100644, 0o120777, 0o20666, 0o40755, 0o10644, 0xFFFF)) << 16
            member.extra = random.choice(
                (b"", b"", b"\x01\x00\x08\x00" + b"\xff" * 8, b"\x01\x00\xff\xff", b"\x75\x70")
            )
            content = random.choice((b"", b"sound" * 50, bytes(30_000), random.randbytes(400)))
            try:
                archive.writestr(member, content)
            except (ValueError, UnicodeError, struct.error):  # not even zipfile writes this
                continue
    content = bytearray(made.getvalue())
    for _ in range(random.choice((0, 0, 1, 2))):  # what the list of members says of one
        place = content.rfind(b"PK\x01\x02", 0, random.randint(1, len(content)))
        if place >= 0:
            offset, size = random.choice(((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)))
            number = random.choice(NUMBERS) % 256**size
            content[place + offset : place + offset + size] = number.to_bytes(size, "little")
    return bytes(content)


def as_safetensors(seeds: Sequence[bytes], random: Random) -> bytes:
    """Weights whose header lies."""
    content = random.choice(seeds)
    if random.random() < 0.3:
        return binary([content], random, most=5)
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = random.choice(list(header))
    entry = header[name] if isinstance(header[name], dict) else {}
    what = random.randrange(9)
    if what == 0:
        entry["dtype"] = random.choice(("F32", "F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X", "", 1))
    elif what == 1:
        entry["shape"] = [random.choice((*NUMBERS, -1, "a", 1.5)) for _ in range(random.randrange(4))]
    elif what == 2:
        entry["data_offsets"] = [random.choice((*NUMBERS, len(rest), -1, "a")) for _ in range(random.choice((1, 2, 3)))]
    elif what == 3:
        del header[name]
    elif what == 4:
        header[random.choice(WORDS)] = entry
    elif what == 5:
        header["__metadata__"] = value(random)
    elif what == 6:  # numbers that are none
        rest = np.frombuffer(rest, "<f4").copy()
        rest[random.randrange(len(rest))] = random.choice((np.nan, np.inf, 3e38))
        rest = rest.tobytes()
    elif what == 7:
        rest = rest[: random.randrange(len(rest))]
    encoded = json.dumps(header).encode()
    if what == 8:
        encoded = deep(*random.choice(("[]", ('{"a": ', "}"))), random)
    said = random.choice((len(encoded),) * 5 + (0, 2, 2**31, 2**63, 2**64 - 1))
    return said.to_bytes(8, "little") + encoded + rest


def as_sound(seeds: Sequence[bytes], random: Random) -> bytes:
    """Sound files whose headers lie, or whose frames are damaged; pages of Ogg have right sums all the same."""
    what = random.randrange(10)
    if what == 0:
        return _wav(random)
    if what == 1:
        return _flac([seed for seed in seeds if seed[:4] == b"fLaC"], random)
    content = binary(seeds, random, most=random.choice((1, 2, 4, 16)))
    return _summed(content) if content[:4] == b"OggS" and random.random() < 0.9 else content


def _wav(random: Random) -> bytes:
    """A header made of numbers that go badly together."""
    kinds = (1, 2, 3, 6, 7, 0x11, 0x31, 0x55, 0xFFFE, 0, 0xFFFF)
    rates = (0, 1, 7, 100, 999, 1000, 8000, 44_100, 384_000, 768_000, 10**6, 10**7, 2**31 - 1, 2**31, 2**32 - 1)
    layout = struct.pack(
        "<HHIIHH",
        random.choice(kinds),
        random.choice((0, 1, 1, 2, 6, 64, 255, 1024, 1025, 65_535)),
        random.choice(rates),
        random.choice(NUMBERS) % 2**32,
        random.choice((0, 1, 2, 4, 256, 65_535)),
        random.choice((0, 1, 4, 8, 16, 24, 32, 64, 65_535)),
    )
    layout += random.choice((b"", b"", b"\0\0", b"\x16\0" + random.randbytes(22), random.randbytes(9)))
    sound = random.choice(
        (b"", random.randbytes(3), random.randbytes(2_000), bytes(2_000), np.full(500, np.nan, "<f4").tobytes())
    )
    size = random.choice((len(sound),) * 3 + (0, 1, 2**31 - 1, 2**32 - 1))
    chunks = [b"fmt " + struct.pack("<I", random.choice((len(layout),) * 4 + (0, 2**32 - 1))) + layout]
    if random.random() < 0.3:
        chunks.insert(
            random.randrange(2), random.choice((b"fact", b"LIST", b"id3 ", b"bext")) + struct.pack("<I", 4) + b"abcd"
        )
    chunks.append(b"data" + struct.pack("<I", size) + sound)
    if random.random() < 0.1:
        random.shuffle(chunks)
    body = b"WAVE" + b"".join(chunks)
    return random.choice((b"RIFF",) * 5 + (b"RIFX", b"RF64")) + struct.pack("<I", len(body)) + body


def _flac(seeds: Sequence[bytes], random: Random) -> bytes:
    """Another rate, number of channels, depth and length in the block that begins the file."""
    content = bytearray(random.choice(seeds))
    packed = random.choice((0, 1, 999, 48_000, 655_350, 2**20 - 1)) << 44
    packed |= random.randrange(8) << 41 | random.randrange(32) << 36
    packed |= random.choice((0, 1, 2**31, 2**36 - 1))
    content[18:26] = packed.to_bytes(8, "big")
    if random.random() < 0.3:
        content[8:12] = random.choice((bytes(4), b"\xff" * 4, b"\0\x10\xff\xff"))
    return bytes(content)


def _summed(content: bytes) -> bytes:
    """Ogg pages with the sums that they should have."""
    made, place = bytearray(content), 0
    while (place := made.find(b"OggS", place)) >= 0 and place + 27 <= len(made):
        segments = made[place + 26]
        end = place + 27 + segments + sum(made[place + 27 : place + 27 + segments])
        made[place + 22 : place + 26] = bytes(4)
        made[place + 22 : place + 26] = _ogg_sum(made[place:end]).to_bytes(4, "little")
        place += 4
    return bytes(made)


def _ogg_sum(page: bytes) -> int:
    """CRC-32 of Ogg: zlib's, on bits in the other order, without its complements."""
    turned = bytes(page).translate(_TURNED)
    found = zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def as_form(seeds: Sequence[bytes], random: Random) -> bytes:
    """A request to the server with its lines, its lengths and its parts changed."""
    head, rest = random.choice(seeds).split(b"\r\n\r\n", 1)
    if random.random() < 0.5:
        head = text([head], random, separators=":;= ")
    if random.random() < 0.5 and rest:
        within, after = rest.split(b"\r\n\r\n", 1) if b"\r\n\r\n" in rest else (b"", rest)
        within = text([within], random, separators=":;= ") if random.random() < 0.5 else within
        after = binary([after], random, most=5) if random.random() < 0.5 else after
        rest = within + b"\r\n\r\n" + after
        if random.random() < 0.7:  # or what is changed behind a wrong length is never looked at
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(rest), head)
    return head + b"\r\n\r\n" + rest


def as_words(seeds: Sequence[bytes], random: Random) -> bytes:
    """Words of a command line, with a line break between each two."""
    words = random.choice(seeds).decode().split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(words))
        what = random.randrange(4)
        if what == 0:
            words.insert(place, random.choice(WORDS))
        elif what == 1:
            words[place] = random.choice(WORDS)
        elif what == 2 and "=" in words[place]:
            words[place] = words[place].partition("=")[0] + "=" + random.choice((*WORDS, *TAGGED))
        else:
            words.insert(place, random.choice(words))
    return "\n".join(word.replace("\0", "").replace("\n", " ") for word in words).encode("utf-8", "surrogatepass")


Mutation = Callable[[Sequence[bytes], Random], bytes]
