"""Recordings to samples by libsndfile, called from compiled code: a group of them in one call that holds no lock.

A recording is read from memory, through callbacks that are compiled too. For short files this is three times as fast as libsndfile's own
reading by path, which asks the system for a few bytes at a time.

Only what decodes cleanly is decoded here. Whatever libsndfile or the caps below refuse is left to the caller's other way, which alone
knows what to say about it. `audio/decode.py` is that way: block sizes and the order of reads are the same here, since the last bits of
some formats depend on them.
"""

import sys
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
import soundfile
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fastspec.kernels import xxh3
from fastspec.kernels.claims import claim_of, is_tagged
from fastspec.kernels.jit import entry, inline

_READ = 0x10  # SFM_READ
_FORMAT, _RAW, _FLAC, _MPEG = 0x0FFF0000, 0x00040000, 0x00170000, 0x00230000
# As libsndfile numbers WAV, AIFF, AU, W64, WAVEX, CAF, RF64, and PCM of 8, 16, 24, 32 and unsigned 8 bits, FLOAT, DOUBLE, ULAW, ALAW.
_PLAIN_FORMATS = (0x010000, 0x020000, 0x030000, 0x0B0000, 0x130000, 0x180000, 0x220000)
_LAST_PLAIN_SUBTYPE, _ULAW, _ALAW, _PCM_16 = 0x0007, 0x0010, 0x0011, 0x0002
# Of a float32's bits: the magnitude, of infinity, and of what counts as clipped.
_MAGNITUDE, _INFINITE = 0x7FFFFFFF, 0x7F800000
_WORDS = 1 << 14
_FUNCTIONS = ("sf_open_virtual", "sf_readf_float", "sf_read_short", "sf_error", "sf_close")


class Limits(NamedTuple):
    """What a recording is decoded by."""

    block_frames: int
    max_sample_rate: int
    clipped_from: int  # the bits of a float32


# Columns of what is found out about a recording.
OUTCOME, AT, FRAMES, RATE, CHANNELS, HEADER_FRAMES, DECODED_FRAMES, PEAK, CLIPPED, SILENT, NONFINITE, HASH_HIGH, HASH_LOW = range(13)
N_COLUMNS = 13
# Outcomes.
REFUSED, DECODED, NO_ROOM = range(3)
# Fewer samples have no hash: they are hashed otherwise.
LEAST_HASHED = -(-xxh3.SHORTEST // 4)
# Room behind the samples for what is hashed with them: digits of a sample rate, a comma, digits of a count of channels.
ENDING_FLOATS = 8


class Workplace(NamedTuple):
    """What a call works with; nothing in it outlives the call."""

    memory: NDArray[np.int64]  # a file's address, length and position; then the callbacks
    info: NDArray[np.int64]  # libsndfile's SF_INFO
    info_words: NDArray[np.int32]  # the same
    words: NDArray[np.int16]
    secret: NDArray[np.uint64]
    start: NDArray[np.uint64]
    sums: NDArray[np.uint64]


def make_workplace() -> Workplace:
    """A workplace for one thread."""
    info = np.zeros(4, np.int64)
    words, sums = np.empty(_WORDS, np.int16), np.zeros(8, np.uint64)
    return Workplace(np.zeros(8, np.int64), info, info.view(np.int32), words, xxh3.SECRET, xxh3.START, sums)


def _find_libsndfile() -> bool:
    """Tell LLVM where the functions are in the library that soundfile has loaded."""
    try:
        addresses = [int(soundfile._ffi.cast("intptr_t", soundfile._ffi.addressof(soundfile._snd, name))) for name in _FUNCTIONS]
    except Exception:  # another soundfile than those known: what it raises where its insides differ is not known either
        return False
    for name, address in zip(_FUNCTIONS, addresses, strict=True):
        llvmlite.binding.add_symbol(f"fastspec_{name}", address)
    return True


_FOUND = _find_libsndfile()


def can_decode() -> bool:
    """Whether recordings can be decoded here: the JIT is enabled, libsndfile's functions are known, and samples are hashed as they lie."""
    return _FOUND and sys.byteorder == "little" and not numba.config.DISABLE_JIT


# Pointers go as integers.
_sf_open_virtual = types.ExternalFunction("fastspec_sf_open_virtual", types.intp(types.intp, types.int32, types.intp, types.intp))
_sf_readf_float = types.ExternalFunction("fastspec_sf_readf_float", types.int64(types.intp, types.intp, types.int64))
_sf_read_short = types.ExternalFunction("fastspec_sf_read_short", types.int64(types.intp, types.intp, types.int64))
_sf_error = types.ExternalFunction("fastspec_sf_error", types.int32(types.intp))
_sf_close = types.ExternalFunction("fastspec_sf_close", types.int32(types.intp))


# --- a file in memory --------------------------------------------------------------------------------------------------------------

_I64, _I32, _BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()


@intrinsic
def write_callbacks(_context: Any, table: Any) -> Any:
    """Make `table`, of int64, libsndfile's SF_VIRTUAL_IO of a file in memory: the addresses of get_filelen, seek, read, write and tell.

    Their user data is an int64 array of the file's address, its length and the position in it. Nothing is ever written. Only compiled
    code has addresses, so there is no twin in Python.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builders = {0: _build_length, 1: _build_seek, 2: _build_read, 4: _build_tell}
        for slot in range(5):
            address = _I64(0)
            if slot in builders:
                address = builder.ptrtoint(builders[slot](builder.module), _I64)
            builder.store(address, builder.gep(data, [_I64(slot)]))
        return context.get_dummy_value()

    return types.void(table), codegen


def _begin(module: Any, name: str, *arguments: Any) -> tuple[Any, Any, Any]:
    """A function of the module that answers an int64, whose last argument is the user data; a builder in it; pointers to the latter."""
    function = cgutils.get_or_insert_function(module, ir.FunctionType(_I64, [*arguments, _BYTES]), f"fastspec_memory_{name}")
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    state = builder.bitcast(function.args[-1], _I64.as_pointer())
    return function, builder, [builder.gep(state, [_I64(i)]) for i in range(3)]


def _build_length(module: Any) -> Any:
    function, builder, (_, length, _) = _begin(module, "length")
    builder.ret(builder.load(length))
    return function


def _build_tell(module: Any) -> Any:
    function, builder, (_, _, position) = _begin(module, "tell")
    builder.ret(builder.load(position))
    return function


def _build_seek(module: Any) -> Any:
    """To an offset from the start (0), from where it is (1) or from the end (2); before the start it answers 0 and stays."""
    function, builder, (_, length, position) = _begin(module, "seek", _I64, _I32)
    offset, whence, _ = function.args
    here = builder.load(position)
    from_here = builder.select(builder.icmp_signed("==", whence, _I32(1)), here, builder.load(length))
    origin = builder.select(builder.icmp_signed("==", whence, _I32(0)), _I64(0), from_here)
    target = builder.add(origin, offset)
    valid = builder.icmp_signed(">=", target, _I64(0))
    builder.store(builder.select(valid, target, here), position)
    builder.ret(builder.select(valid, target, _I64(0)))
    return function


def _build_read(module: Any) -> Any:
    """So many bytes, fewer at the end, none beyond it."""
    function, builder, (address, length, position) = _begin(module, "read", _BYTES, _I64)
    target, wanted, _ = function.args
    here = builder.load(position)
    left = builder.sub(builder.load(length), here)
    count = builder.select(builder.icmp_signed("<", wanted, left), wanted, left)
    count = builder.select(builder.icmp_signed(">", count, _I64(0)), count, _I64(0))
    source = builder.inttoptr(builder.add(builder.load(address), here), _BYTES)
    cgutils.raw_memcpy(builder, target, source, count, 1)
    builder.store(builder.add(here, count), position)
    builder.ret(count)
    return function


# --- decoding ----------------------------------------------------------------------------------------------------------------------


@inline
def _is_plain(form):
    """Whether the samples lie in the file as they are, so that its frame count can be believed and they are read at once."""
    subtype = form & 0xFFFF
    plain = False
    for each in _PLAIN_FORMATS:
        plain |= form & _FORMAT == each
    return plain and (1 <= subtype <= _LAST_PLAIN_SUBTYPE or subtype in (_ULAW, _ALAW))


@inline
def _read_floats(file, arena, at, row, stop, size):
    """Samples of the first `stop` frames and of what else is in their blocks of `size` into `arena[at:]`; the outcome."""
    channels, total, count = row[CHANNELS], np.int64(0), np.int64(1)
    while total < stop and count > 0:
        if at + (total + size) * channels > len(arena):
            return NO_ROOM
        count = _sf_readf_float(file, arena.ctypes.data + 4 * (at + total * channels), size)
        if _sf_error(file) != 0:
            return REFUSED
        total += max(np.int64(0), count)
    row[FRAMES] = min(stop, total)
    return DECODED


@inline
def _read_words(file, arena, at, row, stop, words):
    """As `_read_floats`, of 16-bit samples that lie in the file as they are: scaled here, in a tenth of libsndfile's time."""
    wanted, total, count = stop * row[CHANNELS], np.int64(0), np.int64(1)
    while total < wanted and count > 0:
        count = max(np.int64(0), _sf_read_short(file, words.ctypes.data, min(np.int64(len(words)), wanted - total)))
        if _sf_error(file) != 0:
            return REFUSED
        source, target = words[:count], arena[at + total : at + total + count]
        for i in range(len(target)):
            target[i] = np.float32(source[i]) * np.float32(1 / 32768)
        total += count
    row[FRAMES] = total // row[CHANNELS]
    return DECODED


@inline
def _read_clip(file, form, duration_s, block_frames, arena, at, row, words):
    """A clip's samples into `arena[at:]`; the outcome."""
    stop, size = np.int64(np.rint(duration_s * row[RATE])), max(np.int64(1), min(np.int64(block_frames), row[HEADER_FRAMES]))
    plain = _is_plain(form)
    if plain:
        size = stop = min(stop, row[HEADER_FRAMES])
    # By the header's word first, so that little is decoded in vain; the last read, of nothing, wants a block too.
    if at + (min(stop, row[HEADER_FRAMES]) + (0 if plain else size)) * row[CHANNELS] > len(arena):
        return NO_ROOM
    if plain and form & 0xFFFF == _PCM_16:
        outcome = _read_words(file, arena, at, row, stop, words)
    else:
        outcome = _read_floats(file, arena, at, row, stop, size)
    row[AT], row[DECODED_FRAMES] = at, row[FRAMES]
    return REFUSED if outcome == DECODED and row[FRAMES] == 0 else outcome


@inline
def _measure(bits, clipped_from, row):
    """Levels of float32 samples by their bits, which are in the order of their magnitudes.

    Integers of 32 bits throughout: with those of 64 that numba prefers, or with floats, LLVM finds no vectors, and it takes four times
    as long.
    """
    none, one, infinite = np.int32(0), np.int32(1), np.int32(_INFINITE)
    least, mask = np.int32(clipped_from), np.int32(_MAGNITUDE)
    peak = clipped = silent = nonfinite = none
    for i in range(len(bits)):
        magnitude = np.int32(bits[i] & mask)
        finite = magnitude < infinite
        peak = max(peak, magnitude if finite else none)
        clipped = np.int32(clipped + (one if (magnitude >= least) & (magnitude <= infinite) else none))
        silent = np.int32(silent + (one if magnitude == none else none))
        nonfinite = np.int32(nonfinite + (none if finite else one))
    row[PEAK], row[CLIPPED], row[SILENT], row[NONFINITE] = peak, clipped, silent, nonfinite


@inline
def _open(data, start, size, workplace):
    """An open recording that lies in `data`, and its SF_INFO in the workplace; 0 where libsndfile refuses it."""
    memory, info = workplace.memory, workplace.info
    memory[0], memory[1], memory[2] = data.ctypes.data + start, size, 0
    info[:] = 0
    write_callbacks(memory[3:])
    return _sf_open_virtual(memory.ctypes.data + 24, _READ, info.ctypes.data, memory.ctypes.data)


@inline
def _is_sound(form, row, limits):
    """Whether libsndfile knows what it opened, as far as the header tells."""
    return form & _FORMAT != _RAW and 1 <= row[RATE] <= limits.max_sample_rate and row[CHANNELS] >= 1


@inline
def _is_misplaced(data, start, stop, form):
    """Whether a tag comes before a recording in memory that libsndfile then does not read to its end, or from its start."""
    return is_tagged(data, start, stop) and form & _FORMAT != _FLAC and form & _FORMAT != _MPEG


@inline
def _write_number(text, at, number):
    """Its decimal digits into `text[at:]`; where they end."""
    digits, rest = 1, number // 10
    while rest > 0:
        digits, rest = digits + 1, rest // 10
    for i in range(digits):
        text[at + digits - 1 - i] = np.uint8(ord("0") + number % 10)
        number //= 10
    return at + digits


@inline
def _hash(text, at, row, workplace):
    """The hash of samples that begin in `text[at:]`, as `audio.hashing` defines it; what lies behind them is overwritten."""
    stop = at + 4 * row[FRAMES] * row[CHANNELS]
    stop = _write_number(text, stop, row[RATE])
    text[stop] = np.uint8(ord(","))
    stop = _write_number(text, stop + 1, row[CHANNELS])
    high, low = xxh3.hash_message(text.ctypes.data + at, stop - at, workplace.secret, workplace.start, workplace.sums)
    row[HASH_HIGH], row[HASH_LOW] = np.int64(high), np.int64(low)


@entry
def decode_clips(data, starts, durations_s, first, limits, workplace, arena, found) -> int:
    """The starts of recordings, from the `first` on while there is room; answers the first that there was none for.

    data: uint8, files one after another. starts: `(files + 1,)` int64, where each begins. durations_s: `(files,)` float64, of the clips.
    arena: float32, written: clips `(samples, channels)` one after another, then room for `ENDING_FLOATS`. found: `(files, N_COLUMNS)`
    int64, written; PEAK is the bits of a float32. What did not fit beside others is to be asked for again; NO_ROOM is for what does not
    fit alone.
    """
    at, samples, words = 0, arena[: len(arena) - ENDING_FLOATS], workplace.info_words
    bits, text = arena.view(np.int32), arena.view(np.uint8)
    for i in range(first, len(durations_s)):
        row = found[i]
        row[OUTCOME] = REFUSED
        file = _open(data, starts[i], starts[i + 1] - starts[i], workplace)
        if file == 0:
            continue
        row[HEADER_FRAMES], row[RATE], row[CHANNELS], form = workplace.info[0], words[2], words[3], words[4]
        if _is_sound(form, row, limits) and not _is_misplaced(data, starts[i], starts[i + 1], form):
            row[OUTCOME] = _read_clip(file, form, durations_s[i], limits.block_frames, samples, at, row, workplace.words)
        _sf_close(file)
        if row[OUTCOME] == NO_ROOM and at > 0:
            return i
        if row[OUTCOME] == DECODED:
            stop = at + row[FRAMES] * row[CHANNELS]
            # libsndfile tells what the file has room for, so that one that was cut looks whole.
            row[HEADER_FRAMES] = max(row[HEADER_FRAMES], claim_of(data, starts[i], starts[i + 1]))
            _measure(bits[at:stop], limits.clipped_from, row)
            if stop - at >= LEAST_HASHED:
                _hash(text, 4 * at, row, workplace)
            at = stop
    return len(durations_s)


@entry
def place_clips(arena, found, sample_rate, least_frames, rows, placed) -> bool:
    """Clips that need nothing more side by side; whether that is how they lie in the arena.

    They have one channel, this sample rate, at least so many frames, a sample that is not 0, and a hash. arena, found: as `decode_clips`
    wrote them. rows: `(files, samples)` float32, written where they lie otherwise, with zeros behind shorter ones. placed: `(files,)`
    bool, written.
    """
    side_by_side, n_samples = True, rows.shape[1]
    for i in range(len(placed)):
        row = found[i]
        whole = row[OUTCOME] == DECODED and row[CHANNELS] == 1 and row[RATE] == sample_rate and row[FRAMES] >= least_frames
        placed[i] = whole and row[FRAMES] >= LEAST_HASHED and row[SILENT] < row[FRAMES]
        side_by_side &= placed[i] and row[FRAMES] == n_samples
    if side_by_side:
        return True
    for i in range(len(placed)):
        if placed[i]:
            row = found[i]
            length = min(row[FRAMES], n_samples)
            source, target = arena[row[AT] : row[AT] + length], rows[i]
            for k in range(length):
                target[k] = source[k]
            for k in range(length, n_samples):
                target[k] = np.float32(0.0)
    return False
