"""The Python interface: whatever the command line does is one call here."""

from cllm4rec.api.model import CLLM4Rec
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset

__all__ = ["CLLM4Rec", "Config", "Dataset"]
