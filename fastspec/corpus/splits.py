"""What a split can be called: one side of training and test, or a numbered fold."""

import polars as pl

# Nothing here tunes on validation clips, so they train; only "test" is held out.
TRAIN_WORDS = ("train", "valid", "validation", "val", "dev")
TEST_WORDS = ("test",)
_FOLD = r"^(?:fold[-_ ]?)?(\d{1,6})(?:\.0+)?$"


def fold_name(number: int) -> str:
    """A fold as a manifest's column `split` has it.

    >>> fold_name(3)
    'fold-3'
    """
    return f"fold-{number}"


def fold_number(split: str | None) -> int | None:
    """The fold that a value of the column `split` names, if it does.

    >>> fold_number("fold-3"), fold_number("train"), fold_number(None)
    (3, None, None)
    """
    number = (split or "").removeprefix("fold-")
    return int(number) if split != number and number.isdecimal() else None


def read_splits(split: pl.Series, fold: pl.Series) -> tuple[pl.Series, pl.Series]:
    """A table's columns `split` and `fold` as one, and what each row has that means nothing; texts in, texts out, null where there is none.

    >>> values, wrong = read_splits(pl.Series(["Test", None, "x", None]), pl.Series([None, "2.0", None, "b"]))
    >>> values.to_list(), wrong.to_list()
    (['test', 'fold-2', None, None], [None, None, "split is 'x'", "fold is 'b'"])
    """
    columns = pl.DataFrame({"split": split, "fold": fold}, schema={"split": pl.String, "fold": pl.String})
    word, number = pl.col("split").str.to_lowercase(), pl.col("fold").str.to_lowercase().str.extract(_FOLD).cast(pl.Int64)
    meant = word.is_in([*TRAIN_WORDS, *TEST_WORDS]) | word.str.contains(r"^fold-\d{1,6}$")
    wrong = (
        pl.when(~meant.fill_null(True)).then(pl.format("split is '{}'", "split")).when(pl.col("fold").is_not_null() & number.is_null())
    ).then(pl.format("fold is '{}'", "fold"))
    value = pl.when(meant).then(word).when(pl.col("split").is_null() & number.is_not_null()).then(pl.format("fold-{}", number))
    found = columns.select(value.alias("split"), wrong.alias("wrong"))
    return found["split"], found["wrong"]
