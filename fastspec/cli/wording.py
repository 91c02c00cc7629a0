"""Errors of the rooms in the words of the command line: the option that was typed, not the argument or field that it sets."""

import re
from collections.abc import Sequence

# What a message calls a thing, wherever it stands, and the options that set it.
_NAMES = {
    "clip_s": ("--clip", "--window"),
    "hop_s": ("--hop", "--window"),
    "label_from": ("--label-from",),
    "group_from": ("--group-from",),
    "unknown_below": ("--unknown-below",),
}
# What only means the option where a message begins with it.
_SUBJECTS = {
    **{name: (f"--{name}",) for name in ("by", "calibrate", "dtype", "folds", "repeats", "seed")},
    "the aim": ("--min-recall", "--min-precision"),
    "the cost": ("--cost",),
    "the memory budget": ("--memory",),
    "the range": ("--range",),
    "the scheduler": ("--scheduler",),
    "the share for testing": ("--test",),
    "the share": ("--max-failed",),
    "the size": ("--memory", "--max-upload", "--size"),
    "the time-out": ("--timeout",),
}
_NAME = re.compile(rf"(?<!['\w/.=-])({'|'.join(_NAMES)})(?!['\w/.])")
_SUBJECT = re.compile(rf"^({'|'.join(_SUBJECTS)})(?= is | are | ')")
_NONE = re.compile(r"(?<!['\w/.])None(?!['\w/.])")


def as_typed(message: str, arguments: Sequence[str]) -> str:
    """The message of an error about what these arguments of the command line asked for.

    A field that `--set` or a file of `--spec` gives is called as it is there, and so are names that a message offers or that were typed.

    >>> as_typed("clip_s is -3.0; give a length in seconds", ["featurize", "sounds", "--window", "-3"])
    '--window is -3.0; give a length in seconds'
    >>> as_typed("clip_s is -3.0; give a length in seconds", ["featurize", "sounds", "--set", "clip_s=-3"])
    'clip_s is -3.0; give a length in seconds'
    >>> as_typed("folds is 1; give 2 or more", ["evaluate", "s.zarr", "--folds=1"])
    '--folds is 1; give 2 or more'
    >>> as_typed("clip_s does not exist", ["scan", "clip_s"])
    'clip_s does not exist'
    """
    typed = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    elsewhere = "--set" in typed or "--spec" in typed

    def name(found: re.Match[str]) -> str:
        if found[1] in arguments:
            return found[1]
        options = _NAMES[found[1]]
        given = [option for option in options if option in typed]
        # What a --hop lacks is the length of a window.
        return given[0] if given else found[1] if elsewhere else options[-1 if "--hop" in typed else 0]

    def subject(found: re.Match[str]) -> str:
        return next((option for option in _SUBJECTS[found[1]] if option in typed), found[1])

    told, offer, names = message.partition("known are:")
    told = _SUBJECT.sub(subject, _NAME.sub(name, told))
    return (told if "None" in arguments else _NONE.sub("none", told)) + offer + names
