"""Every benchmark once, on little data: what it compares and what it prints, never how long it took."""

import json

import numpy as np
import pytest

from bench import kernel, readme, rows, scan, stages
from bench.__main__ import main
from bench.output import as_text
from bench.peak import Peak, Work, stage_work
from fastspec.benchmark.measure import best_seconds
from fastspec.corpus import read_corpus
from fastspec.errors import RunFailed
from fastspec.references import REFERENCES, Reference, references

TINY = ["--clips", "2", "--seconds", "0.2", "--repeat", "1"]
MACHINE = {"cpu": "a CPU", "cores": 2, "lanes": 8, "system": "Linux", "python": "3.11", "packages": {"numpy": "2.4"}}


def test_kernel__prints_one_row_per_case_and_implementation_and_whether_its_floor_is_met(capsys):
    assert main(["kernel", "--json", *TINY]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"command", "version", "machine", "rows"}
    assert printed["command"] == "bench kernel"
    assert {"cpu", "lanes", "packages"} <= set(printed["machine"])
    *rows, call = printed["rows"]
    assert [(row["case"], row["implementation"]) for row in rows] == [
        (case.name, name)
        for case in kernel.CASES
        for name in (kernel.OURS, *(peer.name for peer in references(case.spec) if peer.is_installed()))
    ]
    for row in rows:
        assert set(row) == {*kernel.COLUMNS, "clips", "seconds"}
        assert row["ns_per_frame"] > 0
        floor = {case.name: case for case in kernel.CASES}[row["case"]].floors.get(row["implementation"])
        assert row["at_least"] == floor
        assert row["met"] is (None if floor is None else row["faster"] >= floor)
    assert set(call) == set(kernel.CALL_COLUMNS)
    assert call["us_above"] == pytest.approx(call["us_per_call"] - call["us_in_kernel"])


def test_kernel__prints_a_table_that_names_the_machine(capsys):
    assert main(["kernel", *TINY]) == 0
    printed = capsys.readouterr().out
    assert "lanes" in printed.splitlines()[0]
    assert "ns / frame" in printed
    assert kernel.CASES[0].name in printed


def shifted(spec):
    """A reference that is wrong by one unit everywhere."""
    front = kernel.FrontEnd(spec)
    return lambda samples: front(samples) + np.float32(1)


def test_kernel__refuses_to_time_an_implementation_that_computes_something_else(monkeypatch, capsys):
    wrong = Reference(name="wrong", packages=("numpy",), build=shifted, base=kernel.SPEECH)
    monkeypatch.setattr("fastspec.benchmark.kernel.references", lambda _spec: [wrong])
    with pytest.raises(RunFailed, match=r"wrong \(one by one\) is 1 away from fastspec, allowed are 0.0001"):
        kernel.run_kernel(clips=1, seconds=0.1, repeat=1)
    assert main(["kernel", *TINY]) == 1
    assert "two definitions" in capsys.readouterr().err


def test_kernel__reports_the_faster_form_of_each_implementation():
    forms = [kernel.Form("a", "one by one", list), kernel.Form("a", "batch", list), kernel.Form("b", "one by one", list)]
    assert kernel._fastest(forms, [2.0, 1.0, 3.0]) == {"a": (1.0, "batch"), "b": (3.0, "one by one")}


def test_reference_that_is_not_installed__is_named_with_the_command_that_installs_it(monkeypatch, capsys):
    absent = Reference(name="absent", packages=("no_such_package",), build=shifted, base=kernel.SPEECH)
    monkeypatch.setattr("fastspec.references.table.REFERENCES", (*REFERENCES, absent))
    assert main(["kernel", *TINY]) == 0
    printed = capsys.readouterr()
    assert "absent is not installed and left out; to include it: pip install no_such_package" in printed.err
    assert "absent" not in printed.out


@pytest.mark.parametrize("option", ["--clips=0", "--clips=1.5", "--seconds=0.05", "--seconds=nan", "--seconds=inf", "--repeat=x"])
def test_option_out_of_range__is_refused(option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["kernel", option])
    assert stop.value.code == 2
    assert f"argument {option.partition('=')[0]}: {option.partition('=')[2]!r} given; give a" in capsys.readouterr().err


def test_rows__reports_start_and_peak_of_a_run_over_each_number_of_rows(capsys):
    assert main(["rows", "--json", "--rows", "100", "1500"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["rows"] for row in rows] == [100, 1500]
    assert all(0 < row["starts_s"] < row["seconds"] and 0 < row["start_mib"] <= row["peak_mib"] for row in rows)


def test_memory__reports_the_peak_of_a_run_over_each_length(capsys):
    assert main(["memory", "--json", "--minutes", "0.1", "0.5"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["minutes"], row["clips"]) for row in rows] == [(0.1, 1), (0.5, 2)]
    assert all(row["peak_mib"] > 20 for row in rows)


def test_scan__is_timed_beside_decoding_the_same_frames(tmp_path, write_tone, monkeypatch, capsys):
    for i in range(4):
        write_tone(tmp_path / "ab"[i % 2] / f"{i}.ogg", seconds=0.1 + 0.1 * i)
    (tmp_path / "a" / "broken.ogg").write_bytes(b"not audio")
    monkeypatch.setattr(scan, "fetch", lambda _name: tmp_path)
    monkeypatch.setattr(scan, "_LABEL", r"(\w)/")
    assert main(["scan", "--json", "--repeat", "1"]) == 0
    decoding, scanning = json.loads(capsys.readouterr().out)["rows"]
    assert (decoding["clips"], scanning["clips"]) == (5, 5)
    assert scanning["hours"] == pytest.approx(1.0 / 3600)
    assert scanning["times"] == pytest.approx(scanning["seconds"] / decoding["seconds"])
    assert scanning["met"] is (scanning["times"] <= 1.5)
    assert main(["scan", "--repeat", "1"]) == 0
    printed = capsys.readouterr().out
    assert "2 threads of" in printed
    assert "× decoding" in printed


def test_scan_that_hears_something_else__is_not_timed(tmp_path, write_tone, monkeypatch):
    write_tone(tmp_path / "a.wav")
    monkeypatch.setattr(scan, "_decode", lambda _manifest, _workers: 7)
    with pytest.raises(RunFailed, match="the scan heard 16000 frames and decoding gives 7"):
        scan.run_scan(read_corpus(tmp_path), workers=1, repeat=1)


def test_calls_take_turns_after_one_warm_up():
    turns = []
    best_seconds([lambda: turns.append("a"), lambda: turns.append("b")], repeat=2)
    assert [name for i, name in enumerate(turns) if i == 0 or turns[i - 1] != name] == ["a", "b", "a", "b", "a", "b"]


def test_stages__add_up_to_the_whole():
    *parts, whole = stages.run_stages(clips=1, seconds=0.2, repeat=1)
    assert [row["step"] for row in parts[:-1]] == [stage.name for stage in stages.STAGES]
    assert sum(row["ns_per_frame"] for row in parts) == pytest.approx(whole["ns_per_frame"])


def test_each_stage__stands_beside_what_the_machine_takes_at_least():
    *parts, whole = stages.run_stages(clips=1, seconds=0.2, repeat=1)
    at_peak = [row["ns_at_peak"] for row in parts[:-1]]
    assert all(bound > 0 for bound in at_peak)
    assert whole["ns_at_peak"] == pytest.approx(sum(at_peak))


def test_work_of_a_stage__is_bound_by_what_takes_longest():
    peak = Peak(flops=1e9, read=1e9, written=5e8)
    assert Work(flops=1e9).bound_s(peak) == 1
    assert Work(flops=1e9, read=2e9, written=3e9).bound_s(peak) == 6
    assert stage_work(kernel.SPEECH, 100)[1].flops == 5 * 256 * 8


def test_all_stages_together__compute_the_front_end():
    samples, front = kernel.noise(1, 0.5, kernel.SPEECH)[0], kernel.FrontEnd(kernel.SPEECH.replace(center=False))
    # The stages take windows from the first sample on; an uncentred front end takes them from the first whole transform on.
    expected = front(np.concatenate([np.zeros(56, np.float32), samples, np.zeros(56, np.float32)]))
    n_frames = len(expected)
    out = np.full(n_frames * 80, np.nan, np.float32)
    stages._run_to(stages.STAGES[-1], front, samples, n_frames, out)()
    whole_blocks = n_frames // len(front._plan.lanes) * len(front._plan.lanes)
    np.testing.assert_array_equal(out.reshape(n_frames, 80)[:whole_blocks], expected[:whole_blocks])


def test_readme__gets_both_tables_between_their_markers(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "PRESETS", ["librosa"])
    path = tmp_path / "README.md"
    path.write_text("before <!-- speed -->\nold\n<!-- /speed -->\nbetween <!-- parity -->\n<!-- /parity --> after", encoding="utf8")
    readme.write_readme(clips=1, seconds=0.2, repeat=1, path=path)
    text = path.read_text(encoding="utf8")
    assert "old" not in text
    assert [text.index(word) for word in ("before", "librosa", "lanes", "between", "its own", "after")] == sorted(
        text.index(word) for word in ("before", "librosa", "lanes", "between", "its own", "after")
    )


def test_readme_without_markers__is_refused():
    with pytest.raises(RunFailed, match="README has 0 places between <!-- speed -->"):
        readme.replace_between("nothing", "speed", "table")


def test_first_call__is_timed_in_a_process_of_its_own_with_the_cache_given(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # nothing to compile
    assert set(stages.first_call_seconds(tmp_path)) == {"import", "first call"}


def test_table__aligns_numbers_right_and_shows_what_is_missing_as_a_dash():
    text = as_text(MACHINE, {"name": "name", "ns": "ns"}, [{"name": "a", "ns": 1234.5}, {"name": "bcdef", "ns": None}])
    assert text.splitlines()[3:] == ["| name  |    ns |", "| ----- | ----: |", "| a     | 1,234 |", "| bcdef |     – |"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what librosa imports
def test_images__are_timed_beside_the_usual_way_on_the_same_recordings(tmp_path, write_tone, monkeypatch, capsys):
    pytest.importorskip("librosa")
    from bench import images

    monkeypatch.setattr(images, "fetch", lambda _name: tmp_path)
    monkeypatch.setattr(
        images, "corpus_table", lambda _name, _folder: [(write_tone(tmp_path / f"{i}.wav", hz=400 + i), "a", "g") for i in range(3)]
    )
    assert main(["images", "--json", "--clips", "2", "--repeat", "1"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["implementation"] for row in rows] == [images.OURS, images.ONE_WORKER, images.USUAL] * 2
    assert all(row["clips"] == 2 and row["per_second"] > 0 and row["bytes"] > 100 for row in rows)
    assert 0 < rows[2]["difference"] <= images.TOLERANCE


def test_pictures_of_something_else__are_not_timed(tmp_path):
    from PIL import Image

    from bench import images

    for name, shade in (("black", 0), ("white", 255)):
        Image.new("RGB", (224, 224), (shade,) * 3).save(tmp_path / f"{name}.png")
    with pytest.raises(RunFailed, match=r"255\.0 of 255 away"):
        images._compare(images.CASES[0], [tmp_path / "black.png"], [tmp_path / "white.png"])
    with pytest.raises(RunFailed, match="shape"):
        images._compare(images.CASES[1], [tmp_path / "black.png"], [tmp_path / "white.png"])


def test_pictures_of_readme__have_few_colours_and_are_drawn_without_a_browser(tmp_path, monkeypatch, capsys):
    from PIL import Image

    from bench import picture

    def draw(path):
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    def refuse(_folder):
        raise RunFailed("there is no browser")

    monkeypatch.setattr(picture, "draw_spectrogram", draw)
    monkeypatch.setattr(picture, "draw_drums", lambda folder: [draw(folder / "grid.png")])
    monkeypatch.setattr(picture, "draw_screens", refuse)
    for path in picture.draw_pictures(tmp_path):
        with Image.open(path) as written:
            assert len(written.convert("RGB").getcolors()) <= 256
    assert capsys.readouterr().err == "bench: left out: page.png and report.png: there is no browser\n"


def test_rows__are_timed_until_they_start_and_weighed(capsys):
    assert main(["rows", "--rows", "5", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert 0 < row["starts_s"] < row["seconds"]
    assert 0 < row["start_mib"] <= row["peak_mib"]


def test_peak_of_many_rows__is_bounded_by_that_of_the_fewest(monkeypatch):
    warm_up, *peaks = 300.0, 250.0, 240.0, 200.0
    measured = iter([warm_up, *peaks])
    monkeypatch.setattr(rows, "_measure", lambda *_: {"starts_s": 5.0, "peak_mib": next(measured)})
    assert [row["met"] for row in rows.run_rows(rows=[30, 20, 10])] == [False, True, True]


def test_run_that_starts_late__does_not_meet_its_bound(monkeypatch):
    monkeypatch.setattr(rows, "_measure", lambda *_: {"starts_s": 31.0, "peak_mib": 200.0})
    assert [row["met"] for row in rows.run_rows(rows=[10])] == [False]
