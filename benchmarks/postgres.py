"""A PostgreSQL server of our own in a temporary folder, which can be stopped and started."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Server", "server"]


@dataclass
class Server:
    """A server that listens on a socket in ``folder``."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of its database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        listens = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", listens, "start")

    def stop(self) -> None:
        """Stop it at once; open connections are ended."""
        self._run("pg_ctl", "-w", "-D", f"{self.folder}/data", "-m", "fast", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run([program, *arguments], check=True, user=user, cwd="/", **quiet)  # type: ignore[call-overload]


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server with an empty database, as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    made = Server(folder, port)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        made._run("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync")
        made.start()
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it is stopped already
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
