"""Kinds of pictures of sound, and the recipe that each of them takes."""

from typing import Literal, get_args

from fastspec.errors import choices
from fastspec.report import ReportError
from fastspec.spec import Recipe

Kind = Literal["features", "spectrogram", "mel", "mfcc", "chroma"]

_BLOCKS = {"spectrogram": "stft", "mel": "mel", "mfcc": "mfcc", "chroma": "chroma"}


def recipe_of(kind: str, recipe: Recipe) -> Recipe:
    """The recipe of a kind of picture: "features" is what it makes anyway, the others put one block in place of its own.

    `top_db` is left out of what is drawn in dB: it lifts what is quiet by how loud the rest of the clip is, and a picture has a range.

    Raises:
        ReportError: an unknown kind.
        SpecError: a kind that the recipe's other fields do not allow.

    >>> recipe_of("spectrogram", Recipe()).spec.features
    ('stft',)
    """
    if kind not in get_args(Kind):
        raise ReportError(f"unknown kind of picture {kind!r}; {choices(kind, get_args(Kind))}")
    if kind in _BLOCKS:
        recipe = recipe.replace(features=_BLOCKS[kind], deltas=0)
    return recipe.replace(top_db=None) if recipe.spec.features in (("mel",), ("stft",)) else recipe
