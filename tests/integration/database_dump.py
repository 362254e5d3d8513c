"""Dumps of a real PostgreSQL and their way back, through the cluster room alone: what is dumped comes back, and what is
cut, damaged or somebody else's never does."""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
import postgres_server

try:
    import psycopg2
except ImportError:
    scenario.unavailable("psycopg2 is not installed (python3-psycopg2)")

PROGRAM = os.environ.get("DATABASE_PROGRAM", "")
if not PROGRAM:
    scenario.unavailable("$DATABASE_PROGRAM does not name the program")
for tool in ("age", "age-keygen", "psql", "pg_dump", "zstd"):
    if not shutil.which(tool):
        scenario.unavailable(f"{tool} is not installed")
if not postgres_server.programs():
    scenario.unavailable("PostgreSQL is not installed (postgresql-15)")

ROWS = 10_000 if scenario.is_sanitized() else 100_000
MARK = "marked-storage-key-c0ffee"

# As Pachyderm's, and beside it whatever could be taken for the table of chunks by who reads carelessly.
SCHEMA = f"""
CREATE SCHEMA storage;
CREATE TABLE storage.chunk_objects (
    size bigint, chunk_id bytea NOT NULL, gen bigint NOT NULL, uploaded boolean NOT NULL DEFAULT false,
    tombstone boolean NOT NULL DEFAULT false, note text, PRIMARY KEY (chunk_id, gen));
INSERT INTO storage.chunk_objects (size, chunk_id, gen, uploaded, tombstone, note)
    SELECT i, sha256(i::text::bytea), CASE WHEN i % 97 = 0 THEN -i ELSE i END, i % 10 <> 3, i % 100 = 7,
           CASE WHEN i % 1000 = 1 THEN E'tab\\there\\nline\\\\end\\\\.' END
    FROM generate_series(1, {ROWS}) i;
CREATE TABLE storage.keys (name text PRIMARY KEY, data bytea NOT NULL);
INSERT INTO storage.keys VALUES ('default', '{MARK}');
CREATE SCHEMA collections;
CREATE TABLE collections.texts (id int PRIMARY KEY, text text);
INSERT INTO collections.texts VALUES
    (1, E'COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;\\n'
        '\\\\\\\\xff\\t1\\tt\\tf\\n\\\\.\\n'),
    (2, E'\\\\.\\nCOPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;'),
    (3, repeat('no newline at all ', 1000000)), (4, NULL), (5, E'--\\n-- PostgreSQL database dump complete\\n--\\n'),
    (6, 'ünïcödé');
COMMENT ON TABLE collections.texts IS
    E'it''s; COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;\\n';
CREATE FUNCTION collections.looks_like_it() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
    RETURN $x$
COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;
\\\\xee\t1\tt\tf
\\.
$x$; -- $bod$ '
END $body$;
CREATE VIEW collections.counted AS SELECT count(*) AS "how; many" FROM collections.texts;
CREATE TABLE collections."chunk_objects; COPY" (x int);
SELECT lo_from_bytea(0, 'a large object');
"""
DEX = "CREATE TABLE password (email text PRIMARY KEY, hash bytea); INSERT INTO password VALUES ('a@b', 'x')"
WANTED = ("SELECT 'chunk/'||encode(chunk_id,'hex')||'.'||lpad(to_hex(gen),16,'0') FROM storage.chunk_objects "
          "WHERE uploaded AND NOT tombstone")


def block_starts(archive):
    """Where the blocks of data begin in an archive of PostgreSQL's custom format: a kind (1 rows, 3 large objects), an
    integer (its sign, and four bytes), and counted bytes until there are none."""
    def skip_counted(at):
        while at + 5 <= len(archive) and archive[at] == 0:
            length = int.from_bytes(archive[at + 1:at + 5], "little")
            at += 5 + length
            if not length:
                return at
        return None

    def skip_block(at):
        if archive[at] == 1:
            return skip_counted(at + 6)
        at += 6
        while at is not None and archive[at + 1:at + 5] != bytes(4):  # an oid, and its bytes
            at = skip_counted(at + 5)
        return at and at + 5

    for match in re.finditer(rb"\x01\0(?=.{3}\0\0)", archive, re.DOTALL):
        starts, at = [], match.start()
        while at is not None and at < len(archive) and archive[at] in (1, 3):
            starts.append(at)
            at = skip_block(at)
        if at == len(archive):
            return starts
    raise AssertionError("no blocks of data found")


class DatabaseDump(scenario.Scenario):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres_server.PostgresServer()
        cls.server.create("pachyderm", "dex", "other")
        cls.server.psql("pachyderm", SCHEMA)
        cls.server.psql("dex", DEX)
        cls.server.psql("other", "CREATE SCHEMA storage; CREATE TABLE storage.chunk_objects (chunk_id bytea, "
                                 "gen bigint, uploaded boolean, tombstone boolean); "
                                 "INSERT INTO storage.chunk_objects VALUES ('\\xdd', 1, true, false)")
        cls.wanted = sorted(cls.server.psql("pachyderm", WANTED).split("\n"))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        super().setUp()
        self.programs = os.path.join(self.folder, "programs")
        os.mkdir(self.programs)
        self.targets = 0

    # ---- what is run ----

    def run_program(self, *arguments, server=None, **more):
        """(exit code, its answer); no secret of the server is in what it says."""
        server = server or self.server
        environment = {**os.environ, **server.environment(), **more}
        environment["PATH"] = self.programs + ":" + environment["PATH"]
        run = subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=280, check=False, env=environment)
        self.assertNotIn(run.returncode, (99, -6, -11), run)
        for secret in (server.password, MARK):
            self.assertNotIn(secret, run.stdout + run.stderr)
        self.assertEqual(run.stderr, "")
        answer = json.loads(run.stdout)
        self.assertEqual(bool(answer["error"]), run.returncode != 0, answer)
        return run.returncode, answer

    def succeed_program(self, *arguments, **more):
        code, answer = self.run_program(*arguments, **more)
        self.assertEqual(code, 0, answer)
        return answer

    def refuse(self, exit_code, says, *arguments, hint=None, **more):
        code, answer = self.run_program(*arguments, **more)
        self.assertEqual(code, exit_code, answer)
        for text in (says,) if isinstance(says, str) else says:
            self.assertIn(text, answer["error"])
        if hint:
            self.assertIn(hint, answer["hint"])
        return answer

    def path(self, name):
        return os.path.join(self.folder, name)

    def program(self, name, text):
        """A program in front of the real one, which is $REAL."""
        path = os.path.join(self.programs, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/bash\nREAL={shutil.which(name)}\n{text}\n")
        os.chmod(path, stat.S_IRWXU)

    def key(self, name="identity"):
        path = self.path(name)
        run = subprocess.run(["age-keygen", "-o", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=60, check=True)
        return run.stderr.strip().rsplit(" ", 1)[1], path

    def dump(self, *arguments, database="pachyderm", name="dump"):
        return self.succeed_program("dump", self.path(name), database, *arguments)

    def target(self):
        """A new, empty database."""
        self.targets += 1
        name = f"target{self.targets}"
        self.server.create(name)
        self.addCleanup(subprocess.run, ["dropdb", "--force", name], check=True,
                        env={**os.environ, **self.server.environment()})
        return name

    @staticmethod
    def named(made):
        return ("--bytes", str(made["bytes"]), "--sha256", made["sha256"])

    def contents(self, database, server=None):
        """Everything in it, as pg_dump tells."""
        run = subprocess.run(["pg_dump", "--dbname", database], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             env={**os.environ, **(server or self.server).environment()}, check=True, timeout=120)
        lines = [line for line in run.stdout.split(b"\n") if not line.startswith((b"\\restrict", b"\\unrestrict"))]
        return hashlib.sha256(b"\n".join(lines)).hexdigest()

    def chunks(self, name="chunks"):
        with open(self.path(name), encoding="ascii") as file:
            return file.read().splitlines()

    def assert_empty(self, database):
        self.assertTrue(self.succeed_program("empty", database)["empty"], database)

    def timers(self):
        """Of each connection to the server over TCP, seen from its client: the kind of timer that runs, and its
        seconds."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file.read().splitlines()[1:]]
        there = f"0100007F:{self.server.port:04X}"
        return [(row[5][:2], int(row[5][3:], 16) / os.sysconf("SC_CLK_TCK")) for row in rows
                if row[2] == there and row[3] == "01"]

    def test_connections_are_kept_alive(self):
        """A server that vanishes is noticed: the keepalive timer, 02, runs from a minute down, not from two hours."""
        for kind, connections in ((), 1), (("--all",), 2):
            environment = {**os.environ, **self.server.environment()}
            holder = subprocess.Popen(["psql", "--no-psqlrc", "--quiet", "--host", self.server.folder, "pachyderm"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            dump = None
            try:
                holder.stdin.write("BEGIN; LOCK TABLE storage.keys;\n\\echo held\n")
                holder.stdin.flush()
                self.assertEqual(holder.stdout.readline(), "held\n")
                dump = subprocess.Popen([PROGRAM, "dump", self.path("dump"), "pachyderm", *kind],
                                        stdout=subprocess.DEVNULL, env=environment)
                scenario.wait_until(lambda: len(self.timers()) == connections
                                    and all(kind == "02" for kind, _ in self.timers()), 30, "the dump to wait")
                for _, seconds in self.timers():
                    self.assertGreater(seconds, 0)
                    self.assertLessEqual(seconds, 61)
            finally:
                holder.communicate("COMMIT;\n", timeout=30)
                if dump:
                    self.assertEqual(dump.wait(120), 0)

    # ---- there and back ----

    def test_one_database(self):
        public, identity = self.key()
        for seal, opening in (((), ()), (("--recipient", public), ("--identity", identity))):
            made = self.dump("--chunks", self.path("chunks"), *seal)
            self.assertEqual(made["encrypted"], bool(seal))
            self.assertEqual(self.chunks(), self.wanted)
            # The stored bytes are what ordinary tools read, and their digest is that of pg_dump's own archive.
            command = f"age --decrypt --identity {identity} dump | zstd -dc" if seal else "zstd -dc dump"
            plain = subprocess.run(command, shell=True, cwd=self.folder, stdout=subprocess.PIPE, check=True,
                                   timeout=60).stdout
            self.assertEqual((len(plain), hashlib.sha256(plain).hexdigest()), (made["bytes"], made["sha256"]))
            self.assertTrue(plain.startswith(b"PGDMP"))
            os.remove(self.path("chunks"))
            self.succeed_program("check", self.path("dump"), "pachyderm", "--chunks", self.path("chunks"),
                                 *self.named(made), *opening, PGPORT="1")
            self.assertEqual(self.chunks(), self.wanted)
            target = self.target()
            self.succeed_program("restore", self.path("dump"), target, "--chunks", self.path("again"),
                                 *self.named(made), *opening)
            self.assertEqual(self.chunks("again"), self.wanted)
            self.assertEqual(self.contents(target), self.contents("pachyderm"))

    def test_a_database_without_chunks(self):
        made = self.dump(database="dex")
        target = self.target()
        self.succeed_program("restore", self.path("dump"), target, *self.named(made))
        self.assertEqual(self.contents(target), self.contents("dex"))
        # Where chunks are looked for, their table must be there: in the dump, and before anything is restored.
        expected = "expected to find table storage.chunk_objects"
        self.refuse(scenario.FAILED, expected, "dump", self.path("x"), "dex", "--chunks", self.path("chunks"))
        target = self.target()
        self.refuse(scenario.FAILED, expected, "restore", self.path("dump"), target, "--chunks", self.path("chunks"),
                    *self.named(made))
        self.assert_empty(target)

    def test_all_databases(self):
        public, identity = self.key()
        other = postgres_server.PostgresServer()
        self.addCleanup(other.stop)
        made = self.dump("--all", "--chunks", self.path("chunks"), "--recipient", public)
        self.assertEqual(self.chunks(), self.wanted)  # and not that of `other`
        # Its role is there already: pg_dumpall would make it.
        self.succeed_program("restore", self.path("dump"), "pachyderm", "--all", "--identity", identity, "--chunks",
                             self.path("again"), *self.named(made), server=other)
        self.assertEqual(self.chunks("again"), self.wanted)
        for database in ("pachyderm", "dex", "other"):
            self.assertEqual(self.contents(database, other), self.contents(database), database)
        # A script that lacks its end, though all was said to be well.
        self.program("pg_dumpall", '"$REAL" "$@" | head -n -3')
        self.refuse(scenario.DAMAGED, "cut", "dump", self.path("cut"), "pachyderm", "--all")

    def test_a_database_that_is_not_empty(self):
        made = self.dump()
        target = self.target()
        self.server.psql(target, "CREATE SCHEMA storage; CREATE TABLE storage.keys (mine int)")
        self.assertFalse(self.succeed_program("empty", target)["empty"])
        before = self.contents(target)
        self.refuse(scenario.FAILED, "already exists", "restore", self.path("dump"), target, *self.named(made))
        self.assertEqual(self.contents(target), before)
        self.succeed_program("restore", self.path("dump"), target, "--clean", *self.named(made))
        self.assertEqual(self.contents(target), self.contents("pachyderm"))

    def test_a_database_that_is_in_use(self):
        made = self.dump()
        target = self.target()
        self.server.psql(target, "CREATE SCHEMA storage; CREATE TABLE storage.keys (mine int)")
        before = self.contents(target)
        with psycopg2.connect(host=self.server.host, port=self.server.port, user=self.server.user,
                              password=self.server.password, dbname=target) as holder:
            holder.cursor().execute("SELECT * FROM storage.keys")  # its lock is kept to the end of the transaction
            started = time.monotonic()
            self.refuse(scenario.BUSY, "lock timeout", "restore", self.path("dump"), target, "--clean",
                        *self.named(made), hint="pbcopy suspend")
            self.assertLess(time.monotonic() - started, 90)
            self.assertGreater(time.monotonic() - started, 25)
        holder.close()
        self.assertEqual(self.contents(target), before)
        self.succeed_program("restore", self.path("dump"), target, "--clean", *self.named(made))

    def test_a_slow_store_and_one_that_fails(self):
        made = self.dump("--slow", "--chunks", self.path("chunks"))
        self.assertEqual(self.chunks(), self.wanted)
        self.succeed_program("check", self.path("dump"), "pachyderm", *self.named(made))
        self.refuse(scenario.CANCELLED, "given up", "dump", self.path("half"), "pachyderm", "--kill-after", "100000")
        target = self.target()
        self.refuse(scenario.CANCELLED, "given up", "restore", self.path("dump"), target, "--kill-after", "100000",
                    *self.named(made))
        self.assert_empty(target)

    def test_memory_stays_flat(self):
        target = self.target()
        megabytes = 30 if scenario.is_sanitized() else 300
        self.server.psql(target, "CREATE TABLE big (x text); ALTER TABLE big ALTER COLUMN x SET STORAGE EXTERNAL; "
                                 "INSERT INTO big SELECT repeat(encode(sha256(i::text::bytea), 'hex'), 15625) FROM "
                                 f"generate_series(1, {megabytes}) i")
        made = self.dump(database=target)
        self.assertGreater(made["bytes"], megabytes * 1_000_000)
        back = self.target()
        restored = self.succeed_program("restore", self.path("dump"), back, *self.named(made))
        self.assertEqual(self.server.psql(back, "SELECT count(*), sum(length(x)) FROM big"),
                         self.server.psql(target, "SELECT count(*), sum(length(x)) FROM big"))
        print(f"{made['bytes'] / 1e6:.0f} MB: at most {made['peak_bytes'] / 1e6:.0f} MB out, "
              f"{restored['peak_bytes'] / 1e6:.0f} MB back", flush=True)
        if not scenario.is_sanitized():
            self.assertLess(made["peak_bytes"], 64_000_000)
            self.assertLess(restored["peak_bytes"], 64_000_000)

    # ---- scripts that are hostile ----

    # Lines for a script, each of which has psql run a program, %s. The one with CREATE ROLE does so once that statement
    # was rewritten for a server that has the role; the others do by themselves.
    HOSTILE = (
        "\\! %s", "SELECT 1 \\g |%s", "\\o |%s", "\\copy (SELECT 1) TO PROGRAM '%s'", "\\set x `%s`",
        "SELECT 'C:\\'; \\! %s", "SELECT a$$ \\! %s", "SELECT (;\nCOPY dex.x (a) FROM stdin;\n\\! %s",
        "-- x\r\\! %s", "CREATE ROLE a'b;\n\\! %s\n'",
        "COMMENT ON ROLE pachyderm IS '\n\\! no\n'; \\! %s",
        "CREATE DATABASE \"\\! %s\";\n\\connect -reuse-previous=on \"dbname='\\\\! %s'\"\n:DBNAME",
    )

    def hostile_script(self, line):
        """A script of pg_dumpall with such a line at its start, as a stored dump; what it would make."""
        proof = self.path("proof")
        script = f"--\n-- PostgreSQL database cluster dump\n--\n\n{line.replace('%s', 'touch ' + proof)}\nSELECT 1;\n" \
                 "--\n-- PostgreSQL database cluster dump complete\n--\n\n"
        with open(self.path("hostile.sql"), "w", encoding="utf-8", newline="") as file:
            file.write(script)
        subprocess.run(["zstd", "-q", "-f", self.path("hostile.sql"), "-o", self.path("hostile")], check=True, timeout=60)
        data = script.encode()
        return proof, {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def old_psql(self):
        """A psql that does not say that it knows \\restrict, and is told of none."""
        self.program("psql", 'if [[ $1 == --version ]]; then echo "psql (PostgreSQL) 15.8"; else exec "$REAL" "$@"; fi')

    def test_commands_of_psql_in_a_script(self):
        other = postgres_server.PostgresServer()
        self.addCleanup(other.stop)
        environment = {**os.environ, **other.environment()}
        ran = 0
        for old in (False, True):
            if old:
                self.old_psql()
            for line in self.HOSTILE:
                proof, made = self.hostile_script(line)
                self.refuse(scenario.DAMAGED, "which no pg_dump writes", "restore", self.path("hostile"), "pachyderm",
                            "--all", *self.named(made), server=other, hint="repository")
                self.assertFalse(os.path.exists(proof), line)
                # psql by itself runs them: this test tries something.
                if not old:
                    subprocess.run(["psql", "--no-psqlrc", "--quiet", "--file", self.path("hostile.sql"), "postgres"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment, check=False, timeout=60)
                    ran += os.path.exists(proof)
                    if os.path.exists(proof):
                        os.remove(proof)
        self.assertEqual(ran, len(self.HOSTILE) - 1)

    def test_commands_of_psql_in_an_archive(self):
        made = self.dump()
        proof = self.path("proof")
        for old in (False, True):
            if old:
                self.old_psql()
            for line in (f"\\! touch {proof}", f"COPY storage.keys FROM PROGRAM 'touch {proof}';",
                         f"COPY storage.keys (name) FROM '{proof}';"):
                target = self.target()
                with open(self.path("line"), "w", encoding="ascii") as file:
                    file.write(line + "\n")
                self.program("pg_restore", f'"$REAL" "$@" | sed "/^SET row_security/r {self.path("line")}"')
                self.refuse(scenario.DAMAGED, "which no pg_dump writes", "restore", self.path("dump"), target,
                            *self.named(made))
                self.assertFalse(os.path.exists(proof), line)
                self.assert_empty(target)
                os.remove(os.path.join(self.programs, "pg_restore"))

    def test_an_old_psql_reads_what_a_new_pg_dump_writes(self):
        other = postgres_server.PostgresServer()
        self.addCleanup(other.stop)
        one, all_of_it = self.dump(name="one"), self.dump("--all", name="all")
        self.old_psql()
        target = self.target()
        self.succeed_program("restore", self.path("one"), target, *self.named(one))
        self.assertEqual(self.contents(target), self.contents("pachyderm"))
        self.succeed_program("restore", self.path("all"), "pachyderm", "--all", *self.named(all_of_it), server=other)
        for database in ("pachyderm", "dex", "other"):
            self.assertEqual(self.contents(database, other), self.contents(database), database)

    # ---- dumps that are not whole ----

    def test_pg_dump_that_is_not_whole(self):
        whole = self.path("whole")
        with open(whole, "wb") as file:
            subprocess.run(["pg_dump", "--format=custom", "--compress=0", "--dbname", "pachyderm"], stdout=file,
                           env={**os.environ, **self.server.environment()}, check=True, timeout=120)
        size = os.path.getsize(whole)
        # It ends with 0 all the same. Behind the head and behind each table's data is where a block ends.
        with open(whole, "rb") as file:
            archive = file.read()
        blocks = block_starts(archive)
        self.assertGreater(len(blocks), 3)
        for cut in sorted({0, 1, 5, 300, size // 3, size // 2, size - 5, size - 1, *blocks,
                           *(start + 6 for start in blocks)}):
            self.program("pg_dump", f"head -c {cut} {whole}")
            self.refuse(scenario.DAMAGED, "not whole", "dump", self.path("cut"), "pachyderm", "--chunks",
                        self.path("chunks"))
        # Killed half way, and by itself.
        self.program("pg_dump", f"head -c {size // 2} {whole}; kill -9 $$")
        self.refuse(scenario.FAILED, "signal 9", "dump", self.path("cut"), "pachyderm")
        self.program("pg_dump", f"cat {whole}; echo 'pg_dump: error: query failed: ERROR:  canceled' >&2; exit 1")
        self.refuse(scenario.FAILED, "query failed", "dump", self.path("cut"), "pachyderm")
        # Something else altogether.
        self.program("pg_dump", "echo SELECT 1;")
        self.refuse(scenario.DAMAGED, "not whole", "dump", self.path("cut"), "pachyderm")

    def test_pg_dump_whose_backend_is_ended(self):
        target = self.target()
        self.server.psql(target, "CREATE TABLE big (x text); INSERT INTO big SELECT repeat(i::text, 1000) FROM "
                                 "generate_series(1, 40000) i")
        ended = []

        def end_backend():
            scenario.wait_until(lambda: self.server.psql("postgres", "SELECT count(pg_terminate_backend(pid)) FROM "
                                f"pg_stat_activity WHERE datname = '{target}' AND query LIKE 'COPY%'") != "0",
                                60, "pg_dump copies")
            ended.append(True)

        thread = threading.Thread(target=end_backend)
        thread.start()
        code, answer = self.run_program("dump", self.path("dump"), target, "--slow")
        thread.join()
        self.assertTrue(ended)
        self.assertIn(code, (scenario.UNREACHABLE, scenario.FAILED), answer)

    def test_damaged_bytes_restore_nothing(self):
        public, identity = self.key()
        for seal, opening in (((), ()), (("--recipient", public), ("--identity", identity))):
            made = self.dump(*seal)
            with open(self.path("dump"), "rb") as file:
                stored = file.read()
            target = self.target()
            size = len(stored)
            for at in (0, 5, 40, 300, 1000, size // 3, size // 2, size - 100, size - 1):
                with open(self.path("flipped"), "wb") as file:
                    file.write(stored[:at] + bytes([stored[at] ^ 0x10]) + stored[at + 1:])
                # A restore may stumble over wrong data before it is known to be wrong.
                code, answer = self.run_program("restore", self.path("flipped"), target, *self.named(made), *opening)
                self.assertIn(code, (scenario.DAMAGED, scenario.REFUSED) if seal else
                              (scenario.DAMAGED, scenario.FAILED), (at, answer))
                self.assert_empty(target)
                code, answer = self.run_program("check", self.path("flipped"), "pachyderm", *self.named(made), *opening)
                self.assertIn(code, (scenario.DAMAGED, scenario.REFUSED) if seal else (scenario.DAMAGED,), (at, answer))
            for cut in (0, 3, 1000, size // 2, size - 1):
                with open(self.path("cut"), "wb") as file:
                    file.write(stored[:cut])
                self.refuse(scenario.DAMAGED, "", "restore", self.path("cut"), target, *self.named(made), *opening)
                self.assert_empty(target)
            for more in (b"x", stored):
                with open(self.path("longer"), "wb") as file:
                    file.write(stored + more)
                self.refuse(scenario.DAMAGED, "", "restore", self.path("longer"), target, *self.named(made), *opening)
                self.assert_empty(target)

    def test_a_restore_that_is_killed_restores_nothing(self):
        made = self.dump()
        target = self.target()
        command = [PROGRAM, "restore", self.path("dump"), target, *self.named(made), "--hold-after",
                   str(os.path.getsize(self.path("dump")) - 1)]
        activity = f"SELECT string_agg(state, ' ') FROM pg_stat_activity WHERE datname = '{target}'"
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              env={**os.environ, **self.server.environment()}) as process:
            scenario.wait_until(lambda: "idle in transaction" in self.server.psql("postgres", activity) or "active" in
                                self.server.psql("postgres", activity), 60, "it restores")
            time.sleep(1)
            self.assertIsNone(process.poll())
            process.kill()
        scenario.wait_until(lambda: self.server.psql("postgres", activity) == "", 60, "nothing outlives it")
        self.assert_empty(target)

    def test_an_end_that_comes_late(self):
        """pg_restore has seen all that it needs, and does not wait for the end."""
        made = self.dump()
        target = self.target()
        size = os.path.getsize(self.path("dump"))
        self.succeed_program("restore", self.path("dump"), target, "--hold-after", str(size), *self.named(made))
        self.assertEqual(self.contents(target), self.contents("pachyderm"))
        with open(self.path("dump"), "ab") as file:
            file.write(b"more")
        self.refuse(scenario.DAMAGED, "", "restore", self.path("dump"), self.target(), "--hold-after", str(size),
                    *self.named(made))

    def test_another_dump_restores_nothing(self):
        """A whole archive, but not the one that the snapshot names, of one table or of many: not even where pg_restore
        could end long before the last byte is there."""
        made = self.dump()
        target = self.target()
        for named in ((made["bytes"], "0" * 64), (made["bytes"] + 1, made["sha256"]),
                      (made["bytes"] - 1, made["sha256"])):
            self.refuse(scenario.DAMAGED, "not the one", "restore", self.path("dump"), target, "--bytes", str(named[0]),
                        "--sha256", named[1])
            self.assert_empty(target)
        plain = subprocess.run(["pg_dump", "--format=custom", "--compress=0", "--schema-only", "--dbname", "pachyderm"],
                               stdout=subprocess.PIPE, check=True, timeout=120,
                               env={**os.environ, **self.server.environment()}).stdout
        # All that this archive needs comes first, and then more than any pipe holds.
        run = subprocess.run(["zstd", "-c"], input=plain + bytes(50_000_000), stdout=subprocess.PIPE, check=True,
                             timeout=60)
        with open(self.path("early"), "wb") as file:
            file.write(run.stdout)
        code, answer = self.run_program("restore", self.path("early"), target, "--bytes", str(len(plain) + 50_000_000),
                                        "--sha256", "0" * 64)
        self.assertIn(code, (scenario.DAMAGED, scenario.FAILED), answer)
        self.assert_empty(target)

    # ---- keys and servers ----

    def test_keys(self):
        public, identity = self.key()
        _, other = self.key("other")
        made = self.dump("--recipient", public)
        target = self.target()
        self.refuse(scenario.REFUSED, "identity", "restore", self.path("dump"), target, "--identity", other,
                    *self.named(made))
        self.assert_empty(target)
        self.refuse(scenario.DAMAGED, "", "restore", self.path("dump"), target, *self.named(made))
        self.assert_empty(target)

    def test_servers_that_do_not_answer(self):
        made = self.dump()
        target = self.target()
        restore = ("restore", self.path("dump"), target, *self.named(made))
        for command in (("dump", self.path("x"), "pachyderm"), restore, ("version", "pachyderm"), ("empty", target)):
            self.refuse(scenario.UNREACHABLE, "onnection", *command, PGPORT="1")
            self.refuse(scenario.REFUSED, "password authentication failed", *command, PGPASSWORD="wrong",
                        hint="PGPASSWORD")
        for command in (("dump", self.path("x"), "nobody"), ("restore", self.path("dump"), "nobody", *self.named(made)),
                        ("version", "nobody"), ("empty", "nobody")):
            self.refuse(scenario.NOT_FOUND, 'database "nobody" does not exist', *command)
        # A name is a name, and never a way to another server.
        for name in ("host=192.0.2.1 dbname=x", "postgresql://192.0.2.1/x", "it's \\ one"):
            self.refuse(scenario.NOT_FOUND, f'database "{name}" does not exist', "dump", self.path("x"), name)
        self.server.create("it's = \\ here")
        self.succeed_program("dump", self.path("x"), "it's = \\ here")
        # A role that is not there: told, with what to do.
        self.server.psql("postgres", "CREATE ROLE gone")
        self.server.psql(target, "CREATE TABLE owned (x int); ALTER TABLE owned OWNER TO gone")
        made = self.dump(database=target)
        self.server.psql(target, "DROP TABLE owned")
        self.server.psql("postgres", "DROP ROLE gone")
        self.refuse(scenario.FAILED, 'role "gone" does not exist', "restore", self.path("dump"), target,
                    *self.named(made), hint="role")
        self.assert_empty(target)

    def test_versions(self):
        version = self.succeed_program("version", "pachyderm")
        self.assertEqual(version["text"], self.server.psql("postgres", "SHOW server_version").split(" ")[0])
        self.assertEqual(version["number"], int(self.server.psql("postgres", "SHOW server_version_num")))
        self.assertEqual(self.succeed_program("client", "pg_dump")["number"] // 10000, version["number"] // 10000)
        self.refuse(scenario.USAGE, "pg_nothing", "client", "pg_nothing", hint="postgresql-client")
        for says, number in (("pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)", 170002),
                             ("pg_dump (PostgreSQL) 18beta1", 180000)):
            self.program("pg_dump", f"echo '{says}'")
            self.assertEqual(self.succeed_program("client", "pg_dump")["number"], number)
        self.program("pg_dump", "echo hello")
        self.refuse(scenario.FAILED, "version", "client", "pg_dump")


if __name__ == "__main__":
    scenario.main()
