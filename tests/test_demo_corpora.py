"""Corpora by package name: whole or absent, labelled by file names, refused with a reason."""

import csv
import io
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fastspec.demo import corpora
from fastspec.demo.corpora import CORPORA, CorpusUnavailable, corpus_table, fetch, unpack_tarball, write_table
from fastspec.errors import CorpusError

APT_GET = """
config=$2 command=
for word; do case $word in update|download) command=$word;; esac; done
state=$(sed -n 's/^Dir::State "\\(.*\\)";/\\1/p' "$config")
echo "$command" >> "$LOG"
case $command in
update) mkdir -p "$state/lists"; echo "$FRESH" > "$state/lists/main_Packages" ;;
download)
    if ! grep -q good "$state/lists/main_Packages"; then echo "E: Failed to fetch it  404  Not Found" >&2; exit 100; fi
    touch "${5}_1%3a1.0_all.deb" ;;
esac
"""
DPKG_DEB = """mkdir -p "$3/usr" && echo sound > "$3/usr/a.ogg" """


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`tools(name=script, …)` are the only programs of these names on the PATH; returns the log they may write."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "log"
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("FRESH", "good")

    def install(**scripts: str) -> Path:
        for name, script in scripts.items():
            program = folder / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    return install


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "corpora").iterdir())


def write_tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def make_files(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_corpus_by_apt__has_a_folder_for_each_package_and_leaves_nothing_else(tools, tmp_path):
    tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    folder = fetch("fish", cache=tmp_path / "cache")
    assert (folder / "fillets-ng-data-cs/usr/a.ogg").read_text() == "sound\n"
    assert leftovers(tmp_path / "cache") == ["fish"]


def test_cached_corpus__is_not_fetched_again(tools, tmp_path):
    log = tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    first = fetch("fish", cache=tmp_path)
    messages: list[str] = []
    assert fetch("fish", cache=tmp_path, on_message=messages.append) == first
    assert log.read_text().split() == ["update", "download"]
    assert messages == []


def test_package_lists__are_shared_between_corpora(tools, tmp_path):
    log = tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    fetch("fish", cache=tmp_path)
    fetch("fish-nl", cache=tmp_path)
    assert log.read_text().split() == ["update", "download", "download"]


def test_stale_package_lists__are_refreshed_once(tools, tmp_path):
    log = tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    make_files(tmp_path / "apt", "lists/main_Packages")
    fetch("fish", cache=tmp_path)
    assert log.read_text().split() == ["download", "update", "download"]


def test_package_that_is_gone__is_unavailable_with_the_reason_on_one_line(tools, tmp_path, monkeypatch):
    tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    monkeypatch.setenv("FRESH", "empty")
    with pytest.raises(CorpusUnavailable, match=r"'fish' cannot be fetched.*E: Failed to fetch it  404  Not Found") as caught:
        fetch("fish", cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []


def test_offline__keeps_the_old_lists_and_says_why(tools, tmp_path):
    tools(apt_get='case "$*" in *update) echo "W: Failed to fetch: no route" >&2;; *) exit 100;; esac', dpkg_deb=DPKG_DEB)
    make_files(tmp_path / "apt", "lists/old_Packages")
    with pytest.raises(CorpusUnavailable, match="no package lists: W: Failed to fetch: no route"):
        fetch("fish", cache=tmp_path)
    assert (tmp_path / "apt/lists/old_Packages").exists()


def test_broken_package__never_looks_like_a_whole_corpus(tools, tmp_path):
    tools(apt_get=APT_GET, dpkg_deb='mkdir -p "$3/usr"; echo "dpkg-deb: error: unexpected end of file" >&2; exit 2')
    with pytest.raises(CorpusUnavailable, match="unexpected end of file"):
        fetch("fish", cache=tmp_path)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name, tool", [("fish", "apt-get"), ("instruments", "npm")])
def test_missing_tool__is_named(tools, tmp_path, name, tool):
    tools()
    with pytest.raises(CorpusUnavailable, match=f"{tool} is not on this machine"):
        fetch(name, cache=tmp_path)


def test_tool_that_never_ends__is_given_up(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "TIMEOUT_S", 0.05)
    tools(npm="exec sleep 60")
    with pytest.raises(CorpusUnavailable, match="npm was not done after"):
        fetch("codecs", cache=tmp_path)


def test_corpus_by_npm__is_unpacked(tools, tmp_path):
    tarball = write_tarball(tmp_path / "ready.tgz", {"package/lena.wav": b"RIFF"})
    tools(npm=f'cp "{tarball}" audio-lena-2.3.1.tgz')
    folder = fetch("codecs", cache=tmp_path / "cache")
    assert (folder / "audio-lena/package/lena.wav").read_bytes() == b"RIFF"


def test_corpus_by_pip__is_the_unpacked_source_distribution(tools, tmp_path, monkeypatch):
    tarball = write_tarball(tmp_path / "ready.tar.gz", {"mutagen-1.48.1/tests/data/odd.mp3": b"ID3"})
    tools(python=f'echo "$@" > "$LOG"; cp "{tarball}" mutagen-1.48.1.tar.gz')
    monkeypatch.setattr(corpora.sys, "executable", str(tmp_path / "bin/python"))
    folder = fetch("mutagen", cache=tmp_path / "cache")
    assert (folder / "mutagen/mutagen-1.48.1/tests/data/odd.mp3").read_bytes() == b"ID3"
    assert "download --no-deps --no-binary=:all:" in (tmp_path / "log").read_text()


def test_npm_failure__is_told_in_npm_s_words(tools, tmp_path):
    tools(npm='echo "npm error code E404" >&2; echo "npm error 404 Not Found" >&2; exit 1')
    with pytest.raises(CorpusUnavailable, match="npm error code E404; npm error 404 Not Found"):
        fetch("codecs", cache=tmp_path)


def test_concurrent_fetches__end_with_one_whole_corpus(tools, tmp_path):
    tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch("drums", cache=tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "corpora/drums"] * 4
    assert leftovers(tmp_path) == ["drums"]


def test_cache_that_cannot_be_written__is_unavailable(tools, tmp_path):
    tools(apt_get=APT_GET)
    (tmp_path / "file").touch()
    with pytest.raises(CorpusUnavailable, match="cannot be fetched into"):
        fetch("fish", cache=tmp_path / "file")


def test_cache_folder__comes_from_the_environment(tools, tmp_path, monkeypatch):
    tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    monkeypatch.setenv("FASTSPEC_CACHE", str(tmp_path / "elsewhere"))
    assert fetch("fish") == tmp_path / "elsewhere/corpora/fish"


def test_message__names_size_and_licence(tools, tmp_path):
    tools(apt_get=APT_GET, dpkg_deb=DPKG_DEB)
    messages: list[str] = []
    fetch("fish", cache=tmp_path, on_message=messages.append)
    assert messages == ["fetching the corpus 'fish' by apt: about 39 MB, licence GPL-2"]


def test_unknown_corpus__is_refused_with_the_nearest_name():
    with pytest.raises(CorpusError, match=r"unknown corpus 'fsh'; known are: .*did you mean 'fish'"):
        fetch("fsh")


def test_tarball_member_that_leads_out__is_refused(tmp_path):
    tarball = write_tarball(tmp_path / "bad.tgz", {"../outside.txt": b"x"})
    with pytest.raises(CorpusUnavailable, match=r"member '\.\./outside\.txt' that would land outside"):
        unpack_tarball(tarball, tmp_path / "inside")
    assert not (tmp_path / "outside.txt").exists()


def test_tarball_links__are_left_out(tmp_path):
    path = tmp_path / "links.tgz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("package/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    unpack_tarball(path, tmp_path / "inside")
    assert not os.path.lexists(tmp_path / "inside/package/link")


def test_tarball_cut_short__is_unavailable(tmp_path):
    whole = write_tarball(tmp_path / "whole.tgz", {"a": os.urandom(5000)}).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[:2000])
    with pytest.raises(CorpusUnavailable, match=r"cut\.tgz is not a whole"):
        unpack_tarball(tmp_path / "cut.tgz", tmp_path / "inside")


FILLETS = "fillets-ng-data-cs/usr/share/games/fillets-ng/sound"
ASTERISK = "asterisk-core-sounds-fr-wav/usr/share/asterisk/sounds/fr_CA"
HYDROGEN = "hydrogen-data/usr/share/hydrogen/data/drumkits"


@pytest.mark.parametrize(
    "name, file, label, group",
    [
        ("fish", f"{FILLETS}/airplane/cs/let-m-divna.ogg", "small_fish", "airplane"),
        ("fish", f"{FILLETS}/airplane/cs/let-v-oblicej0.ogg", "big_fish", "airplane"),
        ("instruments", "tonejs-instrument-french-horn-mp3/package/As4.mp3", "french-horn", "octave4"),
        ("languages", f"{ASTERISK}/digits/1.wav", "fr", "digits/1"),
        ("drums", f"{HYDROGEN}/Millo_MultiLayered2/HiHat_bass.WAV", "hihat", "millo"),
        ("drums", f"{HYDROGEN}/The Black Pearl 1.0/PearlKick-Hard.wav", "kick", "rock"),
        ("drums", f"{HYDROGEN}/Forzee Stereo/sn_3.flac", "snare", "Forzee Stereo"),
    ],
)
def test_file_name__tells_label_and_group(tmp_path, name, file, label, group):
    root = make_files(tmp_path, file)
    assert corpus_table(name, root) == [(str(root / file), label, group)]


def test_other_voices_silence_and_links__have_no_label(tmp_path):
    root = make_files(tmp_path, f"{FILLETS}/deep/cs/kra-x-voice.ogg", f"{ASTERISK}/silence/1.wav", f"{HYDROGEN}/Kit/cowbell.wav")
    make_files(root, f"{ASTERISK}/yes.wav")
    (root / ASTERISK / "oui.wav").symlink_to(root / ASTERISK / "yes.wav")
    assert [row.group for row in corpus_table("languages", root)] == ["yes"]
    for name in ("fish", "drums"):
        with pytest.raises(CorpusError, match=f"no recordings of the corpus '{name}'"):
            corpus_table(name, root)


def test_corpus_without_labels__has_no_table(tmp_path):
    with pytest.raises(CorpusError, match=r"'music' has no table of labels; known are: drums, fish"):
        corpus_table("music", tmp_path)


def test_table__is_written_whole_and_read_back(tmp_path):
    root = make_files(tmp_path, f"{FILLETS}/a, b/cs/x-m-é.ogg", f"{FILLETS}/a, b/cs/x-v-y.ogg")
    rows = corpus_table("fish", root)
    write_table(rows, tmp_path / "fish.csv")
    with (tmp_path / "fish.csv").open(newline="", encoding="utf8") as file:
        header, *read = csv.reader(file)
    assert header == ["path", "label", "group"]
    assert [tuple(row) for row in read] == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fillets-ng-data-cs", "fish.csv"]


def test_every_labelled_corpus__is_in_the_list_of_corpora():
    assert set(corpora._RULES) <= set(CORPORA)


@pytest.mark.corpus
@pytest.mark.parametrize("name, files, classes, groups", [("fish", 1238, 2, 71), ("fish-nl", 1236, 2, 71), ("instruments", 363, 15, 8)])
def test_real_corpus__has_the_published_counts(corpus, name, files, classes, groups):
    rows = corpus_table(name, corpus(name))
    assert (len(rows), len({row.label for row in rows}), len({row.group for row in rows})) == (files, classes, groups)


@pytest.mark.corpus
def test_fish_table__lists_recordings_that_are_there(fish):
    with fish.open(newline="", encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1238
    assert all(Path(row["path"]).is_file() for row in rows)
