"""A PostgreSQL server for the length of a test, on a free loopback port, from Debian's package."""

import os
import glob
import shutil
import socket
import subprocess
import tempfile
import time

PASSWORD = "marked-database-password-7d1f"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def programs():
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return os.path.dirname(found[-1]) if found else None


class PostgresServer:
    """Running from construction to stop(). Logins by password (SCRAM); role pachyderm owns what it makes."""

    def __init__(self):
        self.bin = programs()
        if not self.bin:
            raise RuntimeError("no PostgreSQL server here (postgresql-15)")
        self.folder = tempfile.mkdtemp(prefix="pbcopy-postgres-", dir="/tmp")
        self.host, self.port, self.user, self.password = "127.0.0.1", free_port(), "pachyderm", PASSWORD
        # PostgreSQL refuses to run as root.
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, "postgres")
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        os.chmod(password_file, 0o644)
        self.data = os.path.join(self.folder, "data")
        self._run("initdb", "--pgdata", self.data, "--username", "pachyderm", "--auth", "scram-sha-256",
                  "--pwfile", password_file, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
        self.start()

    def _run(self, program, *arguments):
        run = subprocess.run([*self.as_user, os.path.join(self.bin, program), *arguments], cwd="/",
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=120, check=False)
        if run.returncode:
            raise RuntimeError(f"{program}: {run.stdout}")

    def start(self):
        options = (f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off "
                   "-c full_page_writes=off -c synchronous_commit=off -c max_connections=30")
        self._run("pg_ctl", "--pgdata", self.data, "--log", os.path.join(self.data, "server.log"), "--wait",
                  "--options", options, "start")

    def halt(self):
        """Stops the server; start() brings it back."""
        self._run("pg_ctl", "--pgdata", self.data, "--mode", "immediate", "stop")

    def stop(self):
        try:
            self.halt()
        except (RuntimeError, subprocess.TimeoutExpired):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGPASSWORD": self.password}

    def psql(self, database, text):
        """The answer, unaligned and without heads; several statements are one transaction."""
        run = subprocess.run(["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--single-transaction",
                              "--set", "ON_ERROR_STOP=1", "--dbname", database],
                             input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300,
                             env={**os.environ, **self.environment()}, check=False)
        if run.returncode:
            raise RuntimeError(f"psql {database}: {run.stderr}")
        return run.stdout.strip()

    def create(self, *databases):
        for database in databases:
            subprocess.run(["createdb", database], env={**os.environ, **self.environment()}, check=True,
                           timeout=60)

    def connect(self, database):
        import psycopg2
        deadline = time.monotonic() + 30
        while True:
            try:
                return psycopg2.connect(host=self.host, port=self.port, user=self.user, password=self.password,
                                        dbname=database)
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
