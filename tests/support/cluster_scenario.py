"""What the tests of whole clusters share: one Kubernetes and one origin for all of a file's tests, a PostgreSQL server
and a namespace for each."""

import json
import os
import shutil

import scenario
from scenario import Scenario

if not shutil.which("age"):
    scenario.unavailable("age is not installed")
try:
    import psycopg2  # noqa: F401
except ImportError:
    scenario.unavailable("psycopg2 is not installed (python3-psycopg2)")

from kubernetes_cluster import KubernetesCluster
import pachyderm_fixture
import postgres_server

if not postgres_server.programs():
    scenario.unavailable("PostgreSQL is not installed (postgresql-15)")


class ClusterScenario(Scenario):
    """Test cases with `self.cluster`; each makes its Pachyderm with `self.pachyderm()`."""

    namespaces = 0

    @classmethod
    def setUpClass(cls):
        cls.cluster = KubernetesCluster()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def setUp(self):
        super().setUp()
        self.recipient, self.identity = pachyderm_fixture.age_key(self.folder)

    def postgres(self):
        server = postgres_server.PostgresServer()
        self.addCleanup(server.stop)
        return server

    def new_namespace(self, name):
        ClusterScenario.namespaces += 1
        namespace = f"{name}-{ClusterScenario.namespaces}"
        self.addCleanup(self.cluster.delete_namespace, namespace)
        return namespace

    def pachyderm(self, chunks=100, shape="2.11", workers=2, origin=None, postgres=None, own_database=False,
                  fixture=pachyderm_fixture.Pachyderm):
        """A deployed one, with databases, a bucket and so many chunks; nothing writes yet."""
        origin = origin or self.origin("--latency-ms", "0", buckets=("pachyderm", "repository", "restored"))
        postgres = postgres or self.postgres()
        here = fixture(self.cluster, postgres, origin, "pachyderm", self.new_namespace("prod"),
                                           shape, workers, own_database)
        here.make_databases()
        here.load(chunks)
        here.deploy()
        self.addCleanup(here.stop_simulation)
        return here

    def configuration(self, here, **more):
        """A pbcopy.yaml for it: the path."""
        settings = {"namespace": here.namespace, "kubeconfig": self.cluster.kubeconfig,
                    "repository": here.url("repository"), "recipient": [self.recipient], "parallel": 32,
                    "wait": 120, **more}
        path = os.path.join(self.folder, f"{here.namespace}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            for name, value in settings.items():
                if value is not None:
                    file.write(f"{name}: {json.dumps(value)}\n")
        return path

    def program(self, name, script, apart=None):
        """Goes before the real one, which is $REAL, in PATH of environment(); or, `apart` in a folder of this name, in the
        PATH that is returned alone."""
        folder = os.path.join(self.folder, apart or "programs")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/bash\nREAL={shutil.which(name)}\n{script}\n")
        os.chmod(path, 0o755)
        return f"{folder}:{os.environ['PATH']}"

    def environment(self):
        """Of kubectl: a cache of its own; and what program() has made."""
        # A kubectl that lives for a tenth of a second need not collect garbage.
        more = {"KUBECACHEDIR": os.path.join(self.folder, "kube-cache"), "GOGC": "off"}
        programs = os.path.join(self.folder, "programs")
        if os.path.isdir(programs):
            more["PATH"] = f"{programs}:{os.environ['PATH']}"
        return more

    def fails(self, here, exit_code, says, *arguments, hint=None, command="backup", configuration=None, **more):
        run = self.pbcopy(command, "--config", configuration or self.configuration(here), *arguments,
                          **{**self.environment(), **more})
        self.assert_failed(run, exit_code, says, hint)
        self.assertFalse(here.is_suspended(), run)
        self.assertTrue(here.is_scaled_up(), run)
        if "repository" in here.origin.client.list_buckets().__str__() and here.origin.bucket("repository").list("pbcopy.json"):
            self.assertEqual(self.committed(here.origin.url("repository")), [], run)
        return run

    def backup(self, here, *arguments, **more):
        configuration = more.pop("configuration", None) or self.configuration(here)
        return self.succeed("backup", "--config", configuration, *arguments, **{**self.environment(), **more})

    def restore(self, here, namespace, postgres, *arguments, destination="restored", configuration=None, database=(), **more):
        """Everything into another namespace, bucket and server: Roles and RoleBindings too. `database` are options in
        place of those that name the server."""
        database = database or ("--database-host", postgres.host, "--pachd-database-host", f"{postgres.host}:{postgres.port}")
        return self.succeed("restore", "--config", configuration or self.configuration(here), "--namespace", namespace,
                            here.url("repository"), here.url(destination), "--identity", self.identity, *database,
                            "--database-port", str(postgres.port), "--database-user", postgres.user,
                            "--allow-privileged", *arguments, PGPASSWORD=postgres.password,
                            **{**self.environment(), **more})

    def assert_agrees(self, postgres, bucket):
        self.assertEqual(pachyderm_fixture.disagreements(postgres, bucket)[:5], [])
