"""The web page of the service: server-rendered, plain modules of JavaScript, a strict policy.

``routes`` answers, ``results`` turns a run's files into a table and figures, ``layout`` gives every
item a place in the plane, ``catalogue_map`` draws and keeps that map, ``colouring`` turns columns
of the item table into few colours, ``static_files`` holds what the browser fetches.
"""

from cllm4rec.service.page.routes import mount_page

__all__ = ["mount_page"]
