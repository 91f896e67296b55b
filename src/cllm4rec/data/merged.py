"""What was held out as training interactions, for a training that chooses nothing."""

from dataclasses import replace

import numpy as np

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.split import HISTORY, TEST, TRAIN, VALID


def with_held_out(dataset: Dataset, *, keep_test: bool) -> Dataset:
    """The same data with validation, and test unless it is kept, among the training interactions.

    A history stays out of training for the sake of what is asked from it. So it becomes training
    too, but for users who still have a test pair: evaluated, these are as new as they were.

    Args:
        dataset: prepared data.
        keep_test: whether the test part stays.
    """
    codes = np.array(dataset.part_codes)
    codes[codes == VALID] = TRAIN
    if not keep_test:
        codes[codes == TEST] = TRAIN
    users = dataset.interactions.users()
    asked = np.zeros(len(dataset.users), np.bool_)
    asked[users[codes == TEST]] = True
    codes[(codes == HISTORY) & ~asked[users]] = TRAIN
    return replace(dataset, part_codes=codes)
