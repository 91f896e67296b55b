"""Recommendations by a user's properties: the run's training interactions and ``users.parquet``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.arguments import kind_of, shown
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.linear.properties import PropertyModel


def property_model(dataset: Dataset) -> PropertyModel:
    """Count what training users with each property had; `PropertyModel.scores` answers.

    Raises:
        InputError: the run knows no properties of its users.
    """
    columns = dataset.texts.user_features
    if columns:
        model = PropertyModel.fit(columns, dataset.part("train").matrix())
        if model.properties:
            return model
    raise InputError(
        "the run knows no properties of its users; train with columns in users.*, such as age"
    )


def profile_of(given: Any) -> dict[str, str]:
    """Property → value as text, from a dictionary.

    Raises:
        InputError: it is none, is empty, or holds anything but text and numbers.
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            f"profile is {kind_of(given)}; give a dict, such as {{'age': 34, 'trade': 'artist'}}"
            if not isinstance(given, Mapping)
            else "the profile is empty; give at least one property"
        )
    for name, value in given.items():
        if not isinstance(name, str) or isinstance(value, bool):
            raise InputError(f"profile holds {shown(name)}; names are text, values text or numbers")
        if not isinstance(value, str | int | float | np.number):
            raise InputError(f"profile: {name[:80]} is {kind_of(value)}; give a text or a number")
    return {name: _text(name, value) for name, value in given.items()}


def _text(name: str, value: Any) -> str:
    try:
        whole = isinstance(value, float | np.floating) and float(value).is_integer()
        return str(int(value) if whole else value)  # 34.0, as pandas has ages, is 34
    except ValueError:
        raise InputError(
            f"profile: {name[:80]} is {shown(value)}; give a text or a usual number"
        ) from None


def profile_scores(model: PropertyModel, given: Any) -> NDArray[np.float32]:
    """Scores of all items for somebody with these properties, ``float32 [items]``.

    Raises:
        InputError: the profile is none, or names what the run does not know.
    """
    return model.scores(profile_of(given))
