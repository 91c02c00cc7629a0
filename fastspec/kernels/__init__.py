"""The only numba room: arrays and scalars in, `out` written, no objects, no I/O, the GIL released.

Lanes are frames: every step works on a vector that holds the same quantity of `W` neighbouring frames, so that each kernel reads like
scalar code for one frame (`simd.py`). Import `fastspec.kernels.extract`; nothing is compiled until it is called.
"""
