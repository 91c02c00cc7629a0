"""Which recordings `fastspec bench` measures on."""

import pytest

from fastspec.benchmark.job import worker_counts
from fastspec.benchmark.sample import choose_recordings, count_clips, set_clip_length
from fastspec.corpus import read_corpus
from fastspec.errors import CorpusError
from fastspec.presets import preset

RECIPE = preset("kaldi", clip_s=0.5)


def test_sample__is_spread_evenly(tmp_path, write_tone):
    for i in range(30):
        write_tone(tmp_path / "sounds" / f"{i:02}.wav", seconds=2.0)
    manifest, about = choose_recordings(read_corpus(tmp_path / "sounds"), RECIPE, clips=5)
    assert manifest.table["path"].to_list() == ["00.wav", "07.wav", "14.wav", "22.wav", "29.wav"]
    assert (about["recordings"], about["of_recordings"]) == (5, 30)
    assert about["formats"] == ["WAV PCM_16 16000 Hz"]


def test_windows__are_counted_by_the_lengths_of_recordings(tmp_path, write_tone):
    for i in range(4):
        write_tone(tmp_path / "sounds" / f"{i}.wav", seconds=2.0)
    recipe = preset("kaldi", clip_s=0.5, hop_s=0.5)
    manifest, _ = choose_recordings(read_corpus(tmp_path / "sounds"), recipe, clips=8)
    assert manifest.table["path"].to_list() == ["0.wav", "3.wav"]


def test_corpus_without_a_recording_that_can_be_opened__is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio")
    with pytest.raises(CorpusError, match=r"none of 1 recordings of .* can be opened"):
        choose_recordings(read_corpus(tmp_path), RECIPE, clips=10)


@pytest.mark.parametrize("workers, chunks", [(1, 1), (2, 2), (3, 3), (64, 11)])
def test_sample__is_a_whole_chunk_for_each_worker_up_to_an_hour(workers, chunks):
    recipe = preset("kaldi", clip_s=5.0)
    # 64 clips of 498 x 80 float32 are a chunk, and 320 s of audio.
    assert count_clips(recipe, workers=workers, minutes=None) == chunks * 64
    assert count_clips(recipe, workers=workers, minutes=1.0) == 12


def test_recipe_without_a_clip_length__is_given_one_by_the_recordings(tmp_path, write_tone):
    write_tone(tmp_path / "a.wav", seconds=0.7)
    assert set_clip_length(preset("kaldi"), read_corpus(tmp_path)).clip.clip_s == 0.7
    assert set_clip_length(preset("kaldi"), None).clip.clip_s == 5.0
    assert set_clip_length(RECIPE, None) is RECIPE


@pytest.mark.parametrize("most, counts", [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])])
def test_workers__double_up_to_the_most(most, counts):
    assert worker_counts(most) == counts
