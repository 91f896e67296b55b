"""What the browser fetches besides the page: read once, named by its content, kept for a year."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.responses import Response

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFiles:
    """Every static file of the page.

    Attributes:
        contents: bytes by file name.
        digest: of all of them; part of their address, so that a browser never shows an old file
            with a new page. One for all, because modules import each other by relative names.
    """

    contents: dict[str, bytes]
    digest: str

    @classmethod
    def read(cls) -> "StaticFiles":
        """Read the files that came with the package."""
        folder = files("cllm4rec.service.page").joinpath("static")
        contents = {
            file.name: file.read_bytes()
            for file in sorted(folder.iterdir(), key=lambda file: file.name)
            if file.name.rpartition(".")[2] in _TYPES
        }
        digest = hashlib.sha256()
        for name, content in contents.items():
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
        return cls(contents, digest.hexdigest()[:16])

    @property
    def prefix(self) -> str:
        """Where they are: ``/static/<digest>``."""
        return f"/static/{self.digest}"

    def answer(self, digest: str, name: str) -> Response | None:
        """A file, or None where there is no such name.

        Another digest is an older or newer page's: it gets the file there is, not to be kept.
        """
        if name not in self.contents:
            return None
        kept = digest == self.digest
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if kept else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        media_type = _TYPES[name.rpartition(".")[2]]
        return Response(self.contents[name], media_type=media_type, headers=headers)
