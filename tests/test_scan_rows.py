"""Rows of tables against their recordings."""

import pytest

from fastspec.corpus import read_corpus
from fastspec.scan import check_rows


@pytest.mark.parametrize("workers", [0, 2])
def test_all_rows_that_can_give_no_clip__are_reported_together_by_row(tmp_path, write_tone, workers):
    write_tone(tmp_path / "a.wav", seconds=1.0)
    write_tone(tmp_path / "b.ogg", seconds=2.0)
    (tmp_path / "c.wav").write_bytes(b"not audio")
    rows = ["a.wav,0.999", "a.wav,1.0", "gone.wav,0", "b.ogg,0", "b.ogg,1.99", "b.ogg,7.5", "c.wav,0", "a.wav,0"]
    (tmp_path / "t.csv").write_text("path,start_s\n" + "\n".join(rows))
    problems = check_rows(read_corpus(tmp_path / "t.csv"), workers=workers)
    assert problems is not None
    assert problems.sentence("rows to mend") == (
        f"{tmp_path / 't.csv'} has 4 rows to mend: row 3 starts at 1 s and 'a.wav' ends at 1.000 s; row 4 'gone.wav' does not exist; "
        "row 7 starts at 7.5 s and 'b.ogg' ends at 2.000 s; row 8 'c.wav' is unreadable: Format not recognised (row 1 is the header)"
    )


def test_header_that_claims_more__does_not_hide_a_late_start(tmp_path, write_tone):
    data = bytearray(write_tone(tmp_path / "a.flac", seconds=1.0).read_bytes())
    data[21] |= 0x0F
    (tmp_path / "a.flac").write_bytes(data)
    (tmp_path / "t.csv").write_text("path,start_s\na.flac,0.5\na.flac,100\n")
    problems = check_rows(read_corpus(tmp_path / "t.csv"))
    assert problems is not None
    assert len(problems) == 1


def test_corpus_that_is_no_table__has_no_rows_to_check(tmp_path, write_tone):
    write_tone(tmp_path / "a/x.wav")
    assert check_rows(read_corpus(tmp_path)) is None
