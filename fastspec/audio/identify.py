"""What a file is that libsndfile refuses to open, by its first bytes.

libsndfile's own reason is not asked for: it is kept in one variable of the process, which another thread's `sf_open` overwrites at any
time, and a ledger must say the same however many workers wrote it.
"""

import re
from pathlib import Path
from typing import Final

_HEAD_BYTES = 4096

_NOT_READ = "which libsndfile does not read; convert it to WAV or FLAC"
# What files begin with, and what is then said of them. The first that matches counts.
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (rb"RIFF....WAVE|RIFX....WAVE", "a WAV file whose header is damaged or cut off, or whose encoding is not known"),
    (rb"RF64....WAVE|riff\x2e\x91\xcf\x11", "a 64-bit WAV file whose header is damaged or cut off"),
    (rb"fLaC", "a FLAC file whose header is damaged or cut off"),
    (rb"OggS", "an Ogg file whose header is damaged or cut off, or that holds neither Vorbis, Opus nor FLAC"),
    (rb"FORM....AIF[FC]", "an AIFF file whose header is damaged or cut off"),
    (rb"\.snd|dns\.", "an AU file whose header is damaged or cut off"),
    (rb"caff", "a CAF file whose header is damaged or cut off, or whose encoding is not known"),
    (rb"NIST_1A", "a NIST SPHERE file whose header is damaged or that is compressed; convert it to WAV or FLAC"),
    (rb"ID3", "an MP3 file in which no sound is found"),
    (rb"....ftyp", f"an MP4, M4A or 3GP file, {_NOT_READ}"),
    (rb"\xff[\xf0\xf1\xf8\xf9]|ADIF", f"an AAC file, {_NOT_READ}"),
    (rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]", "an MP3 file in which no sound is found"),
    (rb"\x1a\x45\xdf\xa3", f"a Matroska or WebM file, {_NOT_READ}"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", f"a WMA or ASF file, {_NOT_READ}"),
    (rb"wvpk", f"a WavPack file, {_NOT_READ}"),
    (rb"MAC ", f"a Monkey's Audio file, {_NOT_READ}"),
    (rb"#!AMR", f"an AMR file, {_NOT_READ}"),
    (rb"MThd", "a MIDI file, which holds notes and no sound"),
    (rb"RIFF....AVI ", f"an AVI film, {_NOT_READ}"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP", "a picture and no sound"),
    (rb"%PDF-", "a PDF and no sound"),
    (rb"PK\x03\x04", "a zip archive and no recording"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "compressed; decompress it first"),
    (rb"version https://git-lfs", "a Git LFS pointer; fetch what it stands for with 'git lfs pull'"),
    (rb"\s*<(?i:!doctype html|html)", "a web page and no sound, as failed downloads are"),
    (rb"\0+\Z", "zeros where its header should be, as interrupted downloads are"),
    (rb"[\t\n\r\x20-\x7e]+\Z", "text and no sound"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), text) for pattern, text in _BEGINNINGS)


def identify_unreadable(source: Path | bytes) -> str:
    """What a file that is not empty seems to be, in one line that depends on nothing but its bytes.

    Args:
        source: a file, or a file's bytes.

    Raises:
        OSError: it cannot be read.

    >>> identify_unreadable(b"<html><body>404 Not Found</body></html>")
    'a web page and no sound, as failed downloads are'
    >>> identify_unreadable(bytes(1000))
    'zeros where its header should be, as interrupted downloads are'
    """
    if isinstance(source, bytes):
        head = source[:_HEAD_BYTES]
    else:
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    return next((text for pattern, text in _PATTERNS if pattern.match(head)), "format not recognised")
