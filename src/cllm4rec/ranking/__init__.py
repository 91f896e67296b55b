"""Ranked lists: every user's best unknown items, and the top-k file.

Ties go to the smaller item number, so a ranking is a pure function of the scores.
"""

from cllm4rec.ranking.list_files import is_topk_file
from cllm4rec.ranking.list_table import list_table
from cllm4rec.ranking.lists import RankedItems, write_lists
from cllm4rec.ranking.places import refuse_file, refuse_folder
from cllm4rec.ranking.scoring import Scorer, blocks, rank_all
from cllm4rec.ranking.topk import NO_ITEM, list_length, top_k

__all__ = [
    "NO_ITEM",
    "RankedItems",
    "Scorer",
    "blocks",
    "is_topk_file",
    "list_length",
    "list_table",
    "rank_all",
    "refuse_file",
    "refuse_folder",
    "top_k",
    "write_lists",
]
