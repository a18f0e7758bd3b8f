"""Tables from CSV files: numbers standardised, categories as codes, mistakes with their place."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.datasets.base import SPLITS, DatasetError, check_split, split_indices
from tinygrad_lessons.utils.data import TensorDataset

NUMBER, CATEGORY, IGNORE = "number", "category", "ignore"
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")


class CSVDataset(TensorDataset):
    """A table from a CSV file, ready to be learnt from: sample i is (features, target).

    The columns of numbers become `features`; with columns of categories, a sample is (features,
    codes, target), or, with `one_hot`, their codes are columns of zeros and ones behind the
    numbers. Without a target, samples end before it.

    What is learnt from the data (categories, means, deviations) is in `columns`. With `split`, it
    comes from the rows of the training split alone; `like` takes it from another CSVDataset. A
    category that the training rows do not have gets the code behind the last, with `one_hot` all
    zeros.

    Args:
        path: of the file: UTF-8, the first line holds the names of the columns.
        target: the name of the column to predict: numbers as float32 (n, 1), categories as int64
            (n,).
        split: "all" rows, or "train" (70 %), "val" (15 %), "test" (15 %); by class if the target
            has classes.
        seed: which of the possible splits.
        types: {column: "number", "category" or "ignore"}; the others are inferred: "number" if all
            that is there reads as one.
        standardise: give each column of features mean 0 and standard deviation 1.
        one_hot: categories as columns of zeros and ones.
        missing: what becomes of rows where something is missing: "error"; "drop": they are left
            out; "fill": a number becomes the column's mean, a category a category of its own, and
            rows without a target are left out.
        missing_values: texts that mean so.
        like: a CSVDataset whose columns, categories and statistics are to be used, usually the one
            of the training file.
        delimiter, quotechar: of the file.

    Attributes:
        features: (n, numbers), float32.
        codes: (n, categories), int64, or None.
        labels: the target, or None.
        classes: of the target, if it has any.
        columns: what is known of each column: name, kind, categories, mean, std.
        target_column: the same of the target, or None.

    Raises:
        DatasetError: the file cannot be read, or a value is not what its column holds; names line
            and column.
        ValueError: an argument is none of those above.

    Example:
        >>> import tempfile, os
        >>> from tinygrad_lessons.datasets import CSVDataset
        >>> path = os.path.join(tempfile.mkdtemp(), "fruit.csv")
        >>> rows = ["weight,colour,fruit", "100,red,apple", "120,green,apple", "80,red,plum"]
        >>> with open(path, "w") as file:
        ...     print(*rows, sep="\\n", file=file)
        >>> data = CSVDataset(path, target="fruit")
        >>> data.classes, data.labels, data.codes.tolist()
        (('apple', 'plum'), tensor([0, 0, 1]), [[1], [0], [1]])
        >>> data.features[0]
        tensor([0.])
    """

    def __init__(
        self,
        path,
        target=None,
        split="all",
        seed=0,
        *,
        types=None,
        standardise=True,
        one_hot=False,
        missing="error",
        missing_values=MISSING,
        like=None,
        delimiter=",",
        quotechar='"',
    ):
        check_split("CSVDataset", split)
        if missing not in ("error", "drop", "fill"):
            raise ValueError(
                f"CSVDataset: got missing={missing!r}: expected 'error', 'drop' or 'fill'"
            )
        table = _Table(Path(path), delimiter, quotechar, frozenset(missing_values))
        if like is None:
            kinds = _kinds(table, target, types or {})
        else:
            target = like.target_column.name if like.target_column else None
            kinds = {c.name: c.kind for c in (*like.columns, like.target_column) if c is not None}
            table.need(kinds)
        table.treat_missing(missing, kinds, target)
        chosen = _rows_of(table, target, kinds, split, seed)
        if like is None:
            learnt = chosen["train"] if split != "all" else chosen["all"]
            known = {name: table.learn(name, kind, learnt) for name, kind in kinds.items()}
            self.target_column = known.pop(target, None)
            self.columns = tuple(known.values())
            self.standardise, self.one_hot = standardise, one_hot
        else:
            self.target_column, self.columns = like.target_column, like.columns
            self.standardise, self.one_hot = like.standardise, like.one_hot
        self.path = table.path
        self._build(table, chosen[split])
        super().__init__(*[t for t in (self.features, self.codes, self.labels) if t is not None])

    def _build(self, table, rows):
        numbers, codes = [], []
        for column in self.columns:
            if column.kind == CATEGORY:
                codes.append(table.codes(column, rows))
                continue
            values = table.numbers(column.name)[rows]
            values = np.where(np.isnan(values), column.mean, values)
            numbers.append((values - column.mean) / column.std if self.standardise else values)
        if self.one_hot:
            categories = [len(c.categories) for c in self.columns if c.kind == CATEGORY]
            for column, count in zip(codes, categories, strict=True):
                numbers.extend((column == code).astype(float) for code in range(count))
            codes = []
        n = len(rows)
        features = np.stack(numbers, 1) if numbers else np.zeros((n, 0))
        self.features = tg.from_numpy(features.astype(np.float32))
        self.codes = tg.from_numpy(np.stack(codes, 1)) if codes else None
        self.labels, self.classes = None, ()
        if self.target_column is None:
            return
        if self.target_column.kind == CATEGORY:
            self.classes = self.target_column.categories
            labels = table.codes(self.target_column, rows, known_only=True)
        else:
            labels = table.numbers(self.target_column.name)[rows, None].astype(np.float32)
        self.labels = tg.from_numpy(labels)


@dataclass(frozen=True)
class Column:
    """What is known of a column from the training rows.

    Attributes:
        name: as in the first line of the file.
        kind: "number" or "category".
        categories: the texts, by code.
        mean, std: of the numbers; a standard deviation of 0 counts as 1.
    """

    name: str
    kind: str
    categories: tuple = field(default=(), repr=False)
    mean: float = 0.0
    std: float = 1.0


class _Table:
    """The texts of a file by column, and the line that each row ends on."""

    def __init__(self, path, delimiter, quotechar, missing):
        self.path, self._missing = path, missing
        self._numbers = {}
        names, rows, self.lines = self._read(delimiter, quotechar)
        for name in names:
            if names.count(name) > 1:
                raise self.error(f"two columns are called {name!r}", 1)
        self.texts = {name: [row[i] for row in rows] for i, name in enumerate(names)}

    def __len__(self):
        return len(self.lines)

    def error(self, what, line=None, column=None):
        where = f", line {line}" if line else ""
        where += f", column {column!r}" if column is not None else ""
        return DatasetError(f"CSVDataset: {self.path}{where}: {what}")

    def _read(self, delimiter, quotechar):
        reader, rows, lines = None, [], []
        try:
            with open(self.path, encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=delimiter, quotechar=quotechar, strict=True)
                names = next(reader, None)
                if not names:
                    raise self.error("there is no line with the names of the columns")
                for row in reader:
                    if not row:
                        continue  # an empty line
                    if len(row) != len(names):
                        raise self.error(
                            f"got {len(row)} fields, expected {len(names)}, as in the first line",
                            reader.line_num,
                        )
                    rows.append(row)
                    lines.append(reader.line_num)
        except OSError as error:
            raise self.error(f"it cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise self.error(
                f"it is not UTF-8 ({error.reason} at a byte 0x{error.object[error.start]:02x})"
            ) from error
        except csv.Error as error:
            raise self.error(str(error), reader.line_num) from error
        if not rows:
            raise self.error("there is no row below the names of the columns")
        return names, rows, lines

    def need(self, names):
        for name in names:
            if name not in self.texts:
                raise self.error(
                    f"there is no column {name!r}, only {', '.join(map(repr, self.texts))}"
                )

    def is_missing(self, name):
        return np.array([text.strip() in self._missing for text in self.texts[name]], dtype=bool)

    def treat_missing(self, how, kinds, target):
        """Raises for missing values or drops their rows, as told; rows without a target never stay."""
        gaps = {name: self.is_missing(name) for name, kind in kinds.items() if kind != IGNORE}
        for name, gap in gaps.items():
            if how == "error" and gap.any():
                raise self.error(
                    "the value is missing: say missing='fill' or missing='drop'",
                    self.lines[gap.argmax()],
                    name,
                )
        judged = gaps.values() if how == "drop" else [gaps[target]] if target else []
        keep = np.flatnonzero(~np.any([*judged], axis=0)) if judged else np.arange(len(self))
        if not len(keep):
            raise self.error("no row is left after those with missing values")
        if len(keep) < len(self):
            self.texts = {name: [texts[i] for i in keep] for name, texts in self.texts.items()}
            self.lines = [self.lines[i] for i in keep]

    def numbers(self, name):
        """A column as float64, NaN where the value is missing."""
        if name not in self._numbers:
            gaps = self.is_missing(name)
            texts = [
                "nan" if gap else text for text, gap in zip(self.texts[name], gaps, strict=True)
            ]
            values = np.array([_number(text) for text in texts])
            for wrong in np.flatnonzero(~np.isfinite(values) & ~gaps):
                raise self.error(
                    f"got {self.texts[name][wrong]!r}: expected a finite number",
                    self.lines[wrong],
                    name,
                )
            self._numbers[name] = values
        return self._numbers[name]

    def learn(self, name, kind, rows):
        """What the rows say of a column."""
        if kind == CATEGORY:
            texts = {self.category(name, row) for row in rows}
            return Column(name, kind, tuple(sorted(texts, key=_category_order)))
        values = self.numbers(name)[rows]
        values = values[~np.isnan(values)]
        if not len(values):
            raise self.error("all values are missing in the training rows", column=name)
        constant = values.min() == values.max()  # whose deviation is the rounding of its mean
        std = 1.0 if constant else float(values.std()) or 1.0
        return Column(name, kind, (), float(values.mean()), std)

    def category(self, name, row):
        text = self.texts[name][row].strip()
        return "" if text in self._missing else text

    def codes(self, column, rows, known_only=False):
        """The codes of the categories in the rows."""
        code_of = {text: code for code, text in enumerate(column.categories)}
        codes = np.empty(len(rows), np.int64)
        for i, row in enumerate(rows):
            text = self.category(column.name, row)
            codes[i] = code_of.get(text, len(code_of))
            if known_only and text not in code_of:
                raise self.error(
                    f"the class {text!r} is not among those of the training rows: "
                    f"{', '.join(map(repr, column.categories))}",
                    self.lines[row],
                    column.name,
                )
        return codes


def _number(text):
    """What the text says; inf if that is no number."""
    try:
        return math.inf if "_" in text else float(text)  # Python's 1_000 is none in a table
    except ValueError:
        return math.inf


def _category_order(text):
    """Numbers by their value, then texts."""
    value = _number(text)
    return (0, value, text) if math.isfinite(value) else (1, 0.0, text)


def _kinds(table, target, types):
    """{column: kind} of all but the ignored; what is not given is inferred."""
    table.need([*types, *([target] if target is not None else [])])
    for name, kind in types.items():
        if kind not in (NUMBER, CATEGORY, IGNORE):
            raise ValueError(
                f"CSVDataset: got type {kind!r} for column {name!r}: "
                "expected 'number', 'category' or 'ignore'"
            )
    kinds = {}
    for name, texts in table.texts.items():
        gaps = table.is_missing(name)
        there = [text for text, gap in zip(texts, gaps, strict=True) if not gap]
        if name not in types and not there:
            raise table.error("all values are missing: give its type, or 'ignore'", column=name)
        kind = types.get(name) or (
            NUMBER if all(math.isfinite(_number(text)) for text in there) else CATEGORY
        )
        if kind != IGNORE:
            kinds[name] = kind
    return kinds


def _rows_of(table, target, kinds, split, seed):
    """{split: rows}, with "all"."""
    everything = np.arange(len(table))
    if split == "all":
        return {"all": everything}
    groups = np.zeros(len(table), int)
    if target is not None and kinds[target] == CATEGORY:
        groups = np.unique([text.strip() for text in table.texts[target]], return_inverse=True)[1]
    chosen = split_indices(groups, seed)
    for name in SPLITS:
        if not len(chosen[name]) and name in ("train", split):
            raise table.error(f"its {len(table)} rows are too few for a split {name!r}")
    return chosen
