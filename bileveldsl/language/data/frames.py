"""Sets and parameters from pandas, under the rules of data files; pandas itself is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bileveldsl.language.data.indexed import arrange
from bileveldsl.language.data.members import LabelledAxis, Labels, Member, require_labels
from bileveldsl.language.data.request import LIMIT_BYTES, Request, count, quote
from bileveldsl.language.data.values import require, to_float64
from bileveldsl.language.diagnostics import Span


def members_from_pandas(labels: Any, name: str, where: Span | None = None) -> list[Member]:
    """The members of a set: the entries of an Index or MultiIndex or of a Series, or the rows of a DataFrame.

    Parameters
    ----------
    labels : pandas.Index, pandas.MultiIndex, pandas.Series or pandas.DataFrame
    name : the set's name, for diagnostics.
    where : the place in the model, for diagnostics.

    Returns
    -------
    members : labels, or tuples of labels from a MultiIndex or a DataFrame with several levels or columns.

    Raises
    ------
    BlvError
        E416 for a member that stands twice, E417 for an entry that is neither text nor an integer.

    Examples
    --------
    >>> import pandas
    >>> members_from_pandas(pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)]), "ARCS")
    [('a', 1), ('b', 2)]
    """
    request = Request("", (), name, 1, where, LIMIT_BYTES)
    return _labels(labels, request).distinct(request)


def indexed_from_pandas(series: Any, axes: Sequence[LabelledAxis], name: str, where: Span | None = None) -> np.ndarray:
    """The values of a Series over the sets that its index has labels of.

    Parameters
    ----------
    series : pandas.Series or a DataFrame of one column; its index has one level for each label of each axis, and
        its rows stand in any order.
    axes : the sets and dims that the parameter is declared over, in that order.
    name : the parameter's name, for diagnostics.
    where : the place in the model, for diagnostics.

    Returns
    -------
    array : float64, C order, shape `[axis.size for axis in axes]`, every entry finite.

    Raises
    ------
    BlvError
        E408, E409 or E414 for its values, E416 to E420 for its labels.

    Examples
    --------
    >>> import pandas
    >>> cost = pandas.Series([5, 2], index=["b", "a"])
    >>> indexed_from_pandas(cost, [LabelledAxis("NODES", 1, ["a", "b"])], "cost")
    array([2., 5.])
    """
    request = Request("", (), name, 1, where, LIMIT_BYTES)
    width = sum(axis.arity for axis in axes)
    labels = _labels(series.index, request)
    if len(labels.columns) != width:
        found, wanted = (count(number, "level", "levels") for number in (len(labels.columns), width))
        what = f"{labels.subject} has an index of {found}, but {', '.join(axis.name for axis in axes)} need {wanted}"
        raise request.error("E420", what, "set the index to one level for each label, in the order of the axes")
    values = _column(series, request, labels.subject)
    return arrange(labels, values, axes, request)


def _column(data: Any, request: Request, subject: str) -> np.ndarray:
    """The values of a Series, or of the only column of a frame."""
    if hasattr(data, "columns"):
        if data.shape[1] != 1:
            what = f"{subject} has {count(data.shape[1], 'column', 'columns')} of values"
            raise request.error("E420", what, "choose one: `frame[name]`")
        data = data.iloc[:, 0]
    if data.dtype.kind not in "biuf":
        mend = "convert it to numbers (`series.astype(float)`)"
        raise request.error("E409", f"{subject} holds values of type {data.dtype}, not real numbers", mend)
    values = data.to_numpy(dtype=float, na_value=np.nan) if data.hasnans else data.to_numpy()
    require(values.dtype, values.shape, request, subject)
    return to_float64(values, request, subject)


def _labels(data: Any, request: Request) -> Labels:
    """The levels of an index, or the columns of a frame, as labels."""
    if hasattr(data, "columns"):
        columns = [data.iloc[:, k] for k in range(data.shape[1])]
    elif hasattr(data, "levels"):
        columns = [data.get_level_values(k) for k in range(data.nlevels)]
    else:
        columns = [data]
    labels = [[x.item() if isinstance(x, np.generic) else x for x in column.tolist()] for column in columns]
    result = Labels(labels, f"the value given for {quote(request.name)}", lambda row: f"at [{row}]")
    for column in labels:
        require_labels(column, result.subject, result.place, request)
    return result
