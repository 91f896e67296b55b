"""Ways to write one id that tables of numbers leave behind: 1833 for 001833, and 1833.0."""

SPELLINGS = {
    "without .0 at the end": (r"\.0+$", ""),
    "without leading zeros": (r"^0+([0-9])", r"\1"),
}
"""What an id may have in one place alone → pattern and replacement (RE2) that take it away."""


def spelled(spelling: str, column: str) -> str:
    """SQL for ids in a spelling.

    Args:
        spelling: one of `SPELLINGS`.
        column: of ids.
    """
    pattern, replacement = SPELLINGS[spelling]
    return f"regexp_replace({column}, '{pattern}', '{replacement}')"
