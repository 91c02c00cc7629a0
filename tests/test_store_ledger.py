"""The ledger's file: the same bytes for the same rows, however they come; duplicates found without holding them."""

import polars as pl
import pytest

import fastspec.store.ledger as room
from fastspec.corpus.packing import condense, expand
from fastspec.store.ledger import make_ledger, write_ledger
from fastspec.store.packing import SCHEMA, as_columns, as_lists, pack_columns, unpack_columns, unpack_hashes


@pytest.fixture
def rows():
    """400 rows, hashes of which come again; some have none."""
    hashes = [None if i % 11 == 0 else f"{(i * 7) % 90 + (1 << 100):032x}" for i in range(400)]
    return [{"clip": i, "path": f"{i}.wav", "status": "ok", "start_s": 0.0, "audio_hash": text} for i, text in enumerate(hashes)]


def split(rows, size):
    """The rows in parts, as commit records give them."""
    rows = [dict.fromkeys(SCHEMA) | row for row in rows]
    packed = [pack_columns(as_columns(rows[i : i + size])) for i in range(0, len(rows), size)]
    return lambda: iter(packed)


@pytest.mark.parametrize("size", [1, 64, 100, 1000])
def test_ledger_in_parts__has_the_same_bytes_whatever_the_parts(rows, size, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "ROW_GROUP", 64)
    monkeypatch.setattr(room, "_ROWS_GIVEN", 16)
    write_ledger(tmp_path / "whole.parquet", split(rows, len(rows)), n_clips=len(rows))
    write_ledger(tmp_path / "parts.parquet", split(rows, size), n_clips=len(rows))
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert pl.read_parquet(tmp_path / "parts.parquet").equals(make_ledger(rows))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts.parquet", "whole.parquet"]


def test_duplicates__name_the_smallest_clip_with_the_hash(rows):
    ledger, first = make_ledger(rows), {}
    for clip, text in enumerate(row["audio_hash"] for row in rows):
        expected = first.setdefault(text, clip) if text else clip
        assert ledger["duplicate_of"][clip] == (None if expected == clip else expected)


def test_duplicates__are_found_wherever_among_all_hashes_they_lie():
    texts = [f"{i % 40 * 0x0667_0000_0000_0000_0000_0000_0000_0001:032x}" for i in range(80)]
    assert len({text[0] for text in texts}) == 16
    ledger = make_ledger([{"clip": i, "audio_hash": text} for i, text in enumerate(texts)])
    assert ledger["duplicate_of"].to_list() == [None] * 40 + list(range(40))


def test_ledger_of_some_clips__names_them_by_their_numbers(rows):
    ledger = make_ledger(rows[100:300])
    assert set(ledger["duplicate_of"].drop_nulls()) <= set(range(100, 300))


def test_hash_of_zeros__is_a_hash_and_none_is_not():
    rows = [{"clip": i, "audio_hash": text} for i, text in enumerate(["0" * 32, None, "0" * 32, None])]
    assert make_ledger(rows)["duplicate_of"].to_list() == [None, None, 0, None]


TEXTS = [
    ["a", "b", "c", "d"],
    ["a", "a", "a", "a"],
    [None, "b", None, "d"],
    [None] * 4,
    ["é\n", '"', "\udcff", ""],
]
NUMBERS = [[1, 2, 3, 4], [0, 0, 0, 0], [None, 2, None, 0], [None] * 4]
HASHES = [[f"{i:032x}" for i in range(4)], ["0" * 32, None, "f" * 32, None], [None] * 4]


@pytest.mark.parametrize("group", [*TEXTS, ["a", "b", "c", "other"]])
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("hashes", HASHES)
def test_packed_rows__come_back(group, number, hashes):
    columns = {name: [None] * 4 for name in SCHEMA} | {"clip": [7, 8, 9, 10], "path": TEXTS[0], "group": group}
    columns |= {"channel": number, "peak": [None if value is None else value / 4 for value in number], "audio_hash": hashes}
    packed = pack_columns(columns)
    assert as_lists(unpack_columns(packed)) == columns
    assert list(unpack_columns(packed)) == list(SCHEMA)
    numbers, known = unpack_hashes(packed)
    assert known.tolist() == [text is not None for text in hashes]
    assert [f"{high:016x}{low:016x}" for high, low in numbers.tolist()] == [text or "0" * 32 for text in hashes]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("peak", [1.0, float("nan")]),
        ("audio_hash", ["a" * 31, "b" * 33]),
        ("audio_hash", ["ab  " * 8, None]),
        ("audio_hash", ["", None]),
        ("label", ["a"]),
    ],
)
def test_rows_that_cannot_be_packed__are_refused(column, values):
    columns = {name: [None] * 2 for name in SCHEMA} | {"clip": [0, 1], column: values}
    with pytest.raises(ValueError, match=r"NaN|32 digits|have not 2 rows"):
        pack_columns(columns)


@pytest.mark.parametrize("unpack", [unpack_columns, unpack_hashes])
def test_rows_that_were_cut__are_refused(rows, unpack):
    packed = split(rows, len(rows))()
    whole = next(packed)
    for cut in (whole[:-1], whole[:-16], whole[: len(whole) // 2], whole + b"0"):
        with pytest.raises(ValueError, match="are not 400 rows"):
            unpack(cut)


def test_column_of_zeros_with_both_signs__comes_back():
    values = [0.0, -0.0, 0.0]
    assert list(map(repr, expand(condense(values)))) == list(map(repr, values))
