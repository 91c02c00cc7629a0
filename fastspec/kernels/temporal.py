"""What joins a clip's frames to their neighbours, or a frame's bands to each other: smoothing, slopes, matrices."""

from fastspec.kernels.jit import entry


@entry
def apply_matrix(rows, n_frames, n_in, matrix, n_out, out) -> None:
    """Each frame's bands times a matrix, summed in float64: a clip's values never depend on how many frames a library sums at once.

    rows: `(frames * in,)` float32. matrix: `(out * in,)` float64. out: `(frames * out,)` float32, written.
    """
    for t in range(n_frames):
        for k in range(n_out):
            total = 0.0
            for m in range(n_in):
                total += matrix[k * n_in + m] * rows[t * n_in + m]
            out[t * n_out + k] = total


@entry
def smooth_frames(rows, n_frames, n_bands, share, state, out) -> None:
    """M[t] = (1 - share) M[t - 1] + share x[t] of each band; a frame that is NaN leaves M as it was.

    rows: `(frames * bands,)` float32. state: `(bands,)` float64, M[-1] on entry. out: `(frames * bands,)` float64, written.
    """
    for t in range(0, n_frames * n_bands, n_bands):
        for m in range(n_bands):
            if rows[t + m] == rows[t + m]:
                state[m] += share * (rows[t + m] - state[m])
            out[t + m] = state[m]


@entry
def weigh_frames(rows, n_frames, n_bands, weights, repeated, sums, out) -> None:
    """A weighted sum of the frames around each frame, in float64.

    At the clip's ends the outermost frame is repeated, or else the sum is that of the first or the last `len(weights)` frames.
    rows: `(frames * bands,)` float32. weights: float64, at most one a frame unless `repeated`.
    sums: `(bands,)` float64, scratch. out: `(frames * bands,)` float32, written.
    """
    width = len(weights)
    for t in range(n_frames):
        first = t - width // 2
        if not repeated:
            first = min(max(first, 0), n_frames - width)
        for m in range(n_bands):
            sums[m] = 0.0
        for j in range(width):
            at, weight = min(max(first + j, 0), n_frames - 1) * n_bands, weights[j]
            for m in range(n_bands):
                sums[m] += weight * rows[at + m]
        for m in range(n_bands):
            out[t * n_bands + m] = sums[m]
