"""helm in a restored namespace knows nothing of the source's release, and cannot act on it. With helm itself where it
is; releases of other drivers, damaged and huge ones are only left out."""

import base64
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import go_servers
import scenario
from cluster_scenario import ClusterScenario
from pachyderm_fixture import HELM_RELEASE

MARK = "marked-release-payload-c41d"


def find_helm():
    """The program, or None: said aloud."""
    path, reason = go_servers.helm()
    if not path:
        if os.environ.get("CI") == "true":
            scenario.unavailable(f"helm: {reason}")
        print(f"SKIP: {reason}: what helm says of a restored namespace is not checked")
    return path


class Helm(ClusterScenario):
    def setUp(self):
        super().setUp()
        self.helm_program = find_helm()

    def helm(self, namespace, *arguments, check=True):
        run = subprocess.run([self.helm_program, "--kubeconfig", self.cluster.kubeconfig, "--namespace", namespace,
                              *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=120, check=False,
                             env={"PATH": os.environ["PATH"], "HOME": self.folder})
        if check and run.returncode:
            self.fail(f"helm {' '.join(arguments)}: {run.stderr}")
        return run

    def chart(self):
        folder = os.path.join(self.folder, "extra")
        os.makedirs(os.path.join(folder, "templates"))
        with open(os.path.join(folder, "Chart.yaml"), "w", encoding="ascii") as file:
            file.write("apiVersion: v2\nname: extra\nversion: 0.1.0\n")
        with open(os.path.join(folder, "templates", "all.yaml"), "w", encoding="ascii") as file:
            file.write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n---\n"
                       "apiVersion: v1\nkind: Service\nmetadata: {name: extra}\n"
                       "spec: {selector: {app: extra}, ports: [{port: 80}]}\n")
        return folder

    def add_releases(self, here):
        """Of each form, by hand."""
        name = "sh.helm.release.v1.{}.v1".format
        labels = {"owner": "helm", "name": "x", "status": "deployed", "version": "1"}
        payload = (MARK + "x" * 700_000).encode()
        self.cluster.kubectl("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
             "metadata": {"name": name("huge"), "namespace": here.namespace, "labels": labels},
             "data": {"release": base64.b64encode(payload).decode()}},
            {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
             "metadata": {"name": name("empty"), "namespace": here.namespace}},
            {"apiVersion": "v1", "kind": "ConfigMap",
             "metadata": {"name": name("by-configmap"), "namespace": here.namespace, "labels": labels},
             "data": {"release": MARK}}]}))

    def assert_without_traces(self, namespace):
        kinds = self.cluster.kubectl("api-resources", "--namespaced=true", "--verbs=list", "-o", "name").split()
        items = json.loads(self.cluster.kubectl("--namespace", namespace, "get", ",".join(
            kind for kind in kinds if not kind.startswith("events")), "-o", "json"))["items"]
        trace = re.compile(r"helm\.sh/release|sh\.helm\.|managed-by\": \"Helm")
        self.assertEqual([f"{item['kind']}/{item['metadata']['name']}" for item in items
                          if trace.search(json.dumps(item))], [])

    def test_another_namespace(self):
        here = self.pachyderm(chunks=20, workers=1)
        if self.helm_program:
            self.helm(here.namespace, "install", "extra", self.chart())
        self.add_releases(here)
        self.backup(here)
        there, namespace = self.postgres(), self.new_namespace("again")
        there.create("pachyderm", "dex")
        run = self.restore(here, namespace, there, "--dry-run", "--verbose", "--verbose")
        self.assertIn(f"Secret/{HELM_RELEASE}: left out", run.stderr)
        self.assertIn("Secret/sh.helm.release.v1.huge.v1: left out", run.stderr)
        self.assertNotIn(MARK, run.stderr + run.stdout)
        self.assertRegex(run.stdout, rf"(?m)^helm +release left out .*helm install .*--take-ownership --namespace {namespace} ")
        run = self.restore(here, namespace, there, "--json", "--verbose", "--verbose")
        self.assertNotIn(MARK, run.stderr + run.stdout)
        self.assertGreater(run.json()["helm_objects_left_out"], 20)
        self.assertIn("--take-ownership", run.json()["helm_hint"])
        self.assert_without_traces(namespace)
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.empty.v1"))
        # The source has all of its own.
        self.assertTrue(self.cluster.exists(f"/api/v1/namespaces/{here.namespace}/secrets/{HELM_RELEASE}"))
        if not self.helm_program:
            return
        self.assertEqual(self.helm(namespace, "list", "--all", "--short").stdout.split(), [])
        self.assertIn("extra", self.helm(here.namespace, "list", "--all", "--short").stdout.split())
        for arguments in (("uninstall", "extra"), ("upgrade", "extra", os.path.join(self.folder, "extra"))):
            run = self.helm(namespace, *arguments, check=False)
            self.assertNotEqual(run.returncode, 0, run)
            self.assertIn("not found" if arguments[0] == "uninstall" else "has no deployed releases", run.stderr)
        source = f"/api/v1/namespaces/{here.namespace}/configmaps/extra"
        before = self.cluster.api("GET", source)
        # What the result says to do.
        self.helm(namespace, "install", "extra", os.path.join(self.folder, "extra"), "--take-ownership")
        self.assertEqual(self.helm(namespace, "list", "--all", "--short").stdout.split(), ["extra"])
        self.helm(namespace, "uninstall", "extra")
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}/configmaps/extra"))
        self.assertEqual(self.cluster.api("GET", source), before)

    def test_the_same_place(self):
        """Namespace, bucket and database as they were: it is the same release."""
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        path = f"/api/v1/namespaces/{here.namespace}/secrets/{HELM_RELEASE}"
        release = self.cluster.api("GET", path)
        self.cluster.kubectl("--namespace", here.namespace, "delete", "secret", HELM_RELEASE)
        self.cluster.kubectl("--namespace", here.namespace, "annotate", "service", "pachd", "meta.helm.sh/release-name-")
        arguments = ("restore", "--config", self.configuration(here), "--namespace", here.namespace,
                     here.origin.url("repository"), here.storage_url, "--identity", self.identity, "--allow-existing",
                     "--allow-live-bucket", "--dump", "none", "--json")
        told = self.succeed(*arguments, **self.environment()).json()
        self.assertEqual((told["helm_objects_left_out"], told["helm_hint"]), (0, None))
        again = self.cluster.api("GET", path)
        self.assertEqual((again["type"], again["data"]), (release["type"], release["data"]))
        pachd = self.cluster.api("GET", f"/api/v1/namespaces/{here.namespace}/services/pachd")
        self.assertEqual(pachd["metadata"]["annotations"]["meta.helm.sh/release-name"], "pachyderm")
        # Another database is another cluster to helm.
        told = self.succeed(*arguments, "--dry-run", "--pachd-database-host", "db.example:5432", **self.environment()).json()
        self.assertGreater(told["helm_objects_left_out"], 20)


if __name__ == "__main__":
    scenario.main()
