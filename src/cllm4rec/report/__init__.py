"""The report of a run: one HTML page that needs no network, no script and no other file."""

from cllm4rec.report.page import write_report

__all__ = ["write_report"]
