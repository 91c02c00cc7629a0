"""Short sounds inside a page, for any browser."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from fastspec.audio import change_rate

LONGEST_S = 4.0
MIME = "audio/mpeg"
# MP3 knows no others up to where it is worth its bytes here.
_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000)
_COMPRESSION = 0.8


def encode_sound(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """The beginning of one channel as MP3; equal samples give equal bytes.

    Ogg was tried and left: Vorbis and Opus are larger for clips this short, libsndfile numbers their streams at random, and older
    Safaris play neither.

    Args:
        samples: `(samples,)` float32; what is beyond full scale is clipped, what is not finite is silence.
        sample_rate: in Hz.

    >>> data = encode_sound(np.zeros(8000, np.float32), 8000)
    >>> len(data) < 4000, data == encode_sound(np.zeros(8000, np.float32), 8000)
    (True, True)
    """
    target_hz = max([rate for rate in _RATES_HZ if rate <= sample_rate], default=_RATES_HZ[0])
    finite = np.nan_to_num(samples[: round(LONGEST_S * sample_rate)], posinf=1.0, neginf=-1.0).astype(np.float32)
    sound = change_rate(finite, sample_rate, target_hz=target_hz, quality="HQ")
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound, -1.0, 1.0), target_hz, format="MP3", subtype="MPEG_LAYER_III", compression_level=_COMPRESSION)
    return file.getvalue()


def can_encode() -> bool:
    """Whether this libsndfile writes MP3; it does since 1.1."""
    return "MP3" in soundfile.available_formats()
