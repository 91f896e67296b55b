"""The server process: socket, signals and orderly shutdown."""

import asyncio
import errno
import resource
import signal
import socket
import threading
from typing import Any

import uvicorn

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.service.app import create_app
from cllm4rec.service.components import Components
from cllm4rec.service.served import ModelHolder, model_version
from cllm4rec.service.settings import ServiceSettings, is_loopback, refuse_open_door

MAX_FILES = 65_536
"""Most open files, and so connections, if the system allows it."""
BACKLOG = 2048
"""Most connections waiting to be accepted."""


def serve(settings: ServiceSettings) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the model.

    Returns:
        The port that was listened on.

    Raises:
        CLLM4RecError: there is no model or it cannot be loaded, the port is taken, the feedback
            folder cannot be written, or others could reach a service without keys.
    """
    refuse_open_door(settings.host, settings.keys)
    _allow_many_connections()
    model_version(settings.run)
    listening = _listening_socket(settings.host, settings.port)
    settings = settings.model_copy(update={"local_hosts_only": not settings.keys})
    app = create_app(settings, ModelHolder(settings.run, subprocess=True))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(settings.shutdown_s),
        lifespan="on",
    )
    port: int = listening.getsockname()[1]
    _say_where(settings, port)
    # uvicorn handles these signals only while it runs.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    components: Components = app.state.components
    _Server(config, components).run(sockets=[listening])
    if components.failed is not None:
        raise components.failed
    progress.note("stopped; everything that was accepted is answered and on the disk")
    return port


class _Server(uvicorn.Server):
    """Marks the service as not ready at shutdown, and reloads on SIGHUP."""

    def __init__(self, config: uvicorn.Config, components: Components) -> None:
        super().__init__(config)
        self._components = components
        components.on_failure = self._give_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._components.draining = True
        super().handle_exit(sig, frame)
        # uvicorn would raise these signals again at the end; the process must exit with 0 instead.
        self._captured_signals.clear()

    def _reload(self) -> None:
        reload = self._components.holder.reload_or_say
        threading.Thread(target=reload, name="reload", daemon=True).start()

    def _give_up(self) -> None:
        self.should_exit = True


def _allow_many_connections() -> None:
    """Raise the limit of open files, by default 1,024: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end(_number: int, _frame: Any) -> None:
    raise SystemExit(0)


def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host,
            port,
            type=socket.SOCK_STREAM,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_PASSIVE,
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise InputError(f"--host {host} is no address of this machine: {reason}") from None
    # Name the protocol: asyncio sets TCP_NODELAY only on sockets with IPPROTO_TCP; without it,
    # small answers are delayed by 40 ms.
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        mend = "choose another --port" if error.errno == errno.EADDRINUSE else "choose another"
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; {mend}") from None
    return listening


def _say_where(settings: ServiceSettings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    progress.note(f"listening on http://{host}:{port} (interface: /docs); loading the model")
    if not settings.keys:
        assert is_loopback(settings.host)
        progress.note("no keys are set: any process of this machine may ask, no other machine can")
