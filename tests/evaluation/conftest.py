from support.planted import planted

__all__ = ["planted"]
