"""What a size needs before there are data: memory, operations, hours; counted, then calibrated."""

from cllm4rec.planning.plan import plan
from cllm4rec.planning.size import Size

__all__ = ["Size", "plan"]
