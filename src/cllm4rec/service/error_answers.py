"""What the service answers where it refuses, for the API's description."""

from typing import Any

from pydantic import BaseModel


class ErrorResponse(BaseModel):
    """What was wrong, in one line."""

    error: str


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The body is not JSON."},
    401: {"model": ErrorResponse, "description": "No key, or a wrong one."},
    403: {"model": ErrorResponse, "description": "Asked by a page of another site."},
    408: {"model": ErrorResponse, "description": "The body did not arrive in time."},
    413: {"model": ErrorResponse, "description": "The body is too long."},
    421: {"model": ErrorResponse, "description": "Without keys, another host name was asked."},
    422: {"model": ErrorResponse, "description": "A value is not usable; the error names it."},
    503: {"model": ErrorResponse, "description": "Not ready, shutting down, or the disk is full."},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorResponse, "description": "There is no such item or user."}
}
AT_WORK: dict[int | str, dict[str, Any]] = {
    409: {
        "model": ErrorResponse,
        "description": "Another process is at work in the run, or it cannot be written.",
    }
}
BUSY: dict[int | str, dict[str, Any]] = {
    429: {
        "model": ErrorResponse,
        "description": "Too much is waiting; ask again after `Retry-After` seconds.",
    }
}
