"""A run for other programs: vectors, faiss indexes and an ONNX model that need no torch."""

from cllm4rec.export.run import export_run

__all__ = ["export_run"]
