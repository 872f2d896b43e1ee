"""Postgres, Redis and an object storage as private instances on free ports, with passwords of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services import LOOPBACK, Folder, RunError, Service, bare_environment, free_ports, listens, wait_until

BUCKET = "airflow-state"
POSTGRES_FOLDERS = "/usr/lib/postgresql"
"""Where Debian's packages put each version's programs."""
START_LIMIT = 60.0
"""Seconds that each of them has to start."""
PACKAGES = {"postgresql": "initdb", "redis-server": "redis-server"}
"""Debian package -> a program of it."""


def missing_packages() -> list[str]:
    """Return the Debian packages that a run needs and that are not there."""
    return [package for package, program in PACKAGES.items() if program_path(program) is None]


def program_path(name: str) -> str | None:
    """Return where a program is: on the path, or the newest of Postgres's."""
    if found := shutil.which(name):
        return found
    kept = sorted(Path(POSTGRES_FOLDERS).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(kept[-1]) if kept else None


class Postgres:
    """A database server. It refuses to run as root, so root starts it as the user that the package made."""

    def __init__(self, folder: Folder) -> None:
        (self.port,) = free_ports(1)
        self._password = secrets.token_hex(16)
        self._data = folder.path / "postgres"
        self._data.mkdir(mode=0o700)
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self._data, user.pw_uid, user.pw_gid)
            self._as_user = [
                "setpriv",
                f"--reuid={user.pw_uid}",
                f"--regid={user.pw_gid}",
                "--clear-groups",
            ]
        self._make()
        options = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "fsync": "off",  # the machine does not fail, only the server does
        }
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._service = folder.service(
            "postgres", [*self._program("postgres"), "-D", str(self._data), *given], bare_environment()
        )
        self._service.polite = True  # its shared memory outlives it otherwise

    @property
    def dsn(self) -> str:
        """User, password, host, port and database, as the part of a URL after the scheme."""
        return f"airflow:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self._service.start()
        wait_until(lambda: listens(self.port), START_LIMIT, "Postgres to start", said=self._service.tail)

    def restart(self) -> None:
        """Cut all connections off and start again, as a failover does."""
        self._service.end(signal.SIGINT)
        self.start()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds in Airflow's database."""
        import psycopg2

        with contextlib.closing(psycopg2.connect(f"postgresql://{self.dsn}")) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _make(self) -> None:
        secret = self._data.with_name("postgres-password")
        secret.write_text(self._password)
        secret.chmod(0o644)  # read by another user, once
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=airflow", "--encoding=UTF8"]
        command = [*self._program("initdb"), "-D", str(self._data), "--no-sync", "--locale=C", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        secret.unlink()
        if done.returncode:
            raise RunError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _program(self, name: str) -> list[str]:
        return [*self._as_user, str(program_path(name))]


class Redis:
    """A Redis that keeps what it was told over a restart, as a managed one does."""

    def __init__(self, folder: Folder) -> None:
        (self.port,) = free_ports(1)
        self._password = secrets.token_hex(16)
        data = folder.path / "redis"
        data.mkdir(mode=0o700)
        settings = data / "redis.conf"  # not the command line, which everybody can read
        settings.write_text(
            f"bind {LOOPBACK}\nport {self.port}\nrequirepass {self._password}\ndir {data}\n"
            'save ""\nappendonly yes\nappendfsync no\ndaemonize no\n'
        )
        settings.chmod(0o600)
        self._service = folder.service(
            "redis", [str(program_path("redis-server")), str(settings)], bare_environment()
        )

    def url(self, database: int) -> str:
        """Return the URL of one of its databases."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self._service.start()
        wait_until(lambda: listens(self.port), START_LIMIT, "Redis to start", said=self._service.tail)

    def restart(self) -> None:
        """End it and start it again."""
        self._service.end()
        self.start()


class ObjectStorage:
    """S3 served by moto, with one bucket; it keeps its content in memory."""

    def __init__(self, folder: Folder) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(self.port)]
        self._service: Service = folder.service("object-storage", command, bare_environment())

    def start(self) -> None:
        """Start it, and make the bucket."""
        self._service.start()
        wait_until(lambda: listens(self.port), START_LIMIT, "moto to start", said=self._service.tail)
        self.client().create_bucket(Bucket=BUCKET)

    def names(self, prefix: str) -> Sequence[str]:
        """Return the keys of the bucket that begin with a prefix."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def remove(self, prefix: str) -> None:
        """Remove every object whose key begins with a prefix."""
        for name in self.names(prefix):
            self.client().delete_object(Bucket=BUCKET, Key=name)

    def client(self) -> Any:
        """Return a client of boto3."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="for-tests",
            aws_secret_access_key="for-tests",
            region_name="us-east-1",
        )
