"""A Kubernetes control plane with one stub node for the length of a test, started by kubernetes/up.

Its programs are those that KUBEBUILDER_ASSETS names, or Kubernetes 1.36 from Go modules (go_servers), or, where there is
no Go for that, 1.20 from Debian's source package (kubernetes/build), if it has been built; with CI=true in the
environment it is. Else the test is skipped, aloud.
"""

import atexit
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error

import go_servers
import scenario
from api_connection import ApiConnection

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kubernetes")


def programs():
    """The folder of kube-apiserver and its kin; ends the test where they cannot be had."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if assets and os.access(os.path.join(assets, "kube-controller-manager"), os.X_OK):
        return assets
    folder, reason = go_servers.kubernetes()
    if folder:
        return folder
    print(f"Kubernetes 1.20, of Debian's source package, as there is no newer one: {reason}", flush=True)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "kubernetes-from-debian", "bin")
    if os.access(os.path.join(folder, "kube-apiserver"), os.X_OK):
        return folder
    if os.environ.get("CI") != "true":
        scenario.unavailable("no Kubernetes API server here: tests/support/go_servers/build or, without Go, "
                             "tests/support/kubernetes/build makes one; KUBEBUILDER_ASSETS names one")
    run = subprocess.run([os.path.join(SCRIPTS, "build")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         text=True, timeout=1200, check=False)
    if run.returncode:
        scenario.unavailable("Kubernetes could not be built")
    return run.stdout.strip()


def _port_range():
    """The first of four free ports in a row, as kubernetes/up wants them; below those that connections are made from,
    which somebody else may get before it starts."""
    for _ in range(200):
        first = random.randrange(20000, 32000)
        if all(_is_free(first + i) for i in range(4)):
            return first
    raise RuntimeError("no four free ports in a row")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class KubernetesCluster:
    """Running from construction to stop()."""

    def __init__(self):
        self.bin = programs()
        # A kubectl of the same version goes before any other, for pbcopy too.
        if os.access(os.path.join(self.bin, "kubectl"), os.X_OK):
            os.environ["PATH"] = f"{self.bin}:{os.environ['PATH']}"
        if not shutil.which("kubectl"):
            scenario.unavailable("kubectl is not installed (kubernetes-client)")
        self.folder = tempfile.mkdtemp(prefix="pbcopy-kube-", dir="/tmp")
        self.directory = os.path.join(self.folder, "k")
        self._stopped = None  # the arguments of an API server that has been stopped
        atexit.register(self.stop)
        for attempt in range(3):
            self.port = _port_range()
            run = subprocess.run([os.path.join(SCRIPTS, "up"), self.directory, self.bin, str(os.getpid())],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 timeout=600, check=False, env={**os.environ, "KUBE_PORT": str(self.port)})
            if not run.returncode:
                break
            print(f"kubernetes/up, attempt {attempt + 1}: {run.stderr}")
        else:
            raise RuntimeError("Kubernetes does not start")
        self.kubeconfig = os.path.join(self.directory, "kubeconfig")
        self._prepare_requests()

    def stop(self):
        if self.folder:
            self.wake_api_server()
            subprocess.run([os.path.join(SCRIPTS, "down"), self.directory], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    # ---- the API, without kubectl ----

    def _prepare_requests(self):
        with open(os.path.join(self.directory, "pki", "tokens.csv"), encoding="ascii") as file:
            self.token = file.readline().split(",")[0]
        self.server = f"https://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=os.path.join(self.directory, "pki", "ca.crt"))
        self.connection = ApiConnection(self.port, self.context, self.token)

    def api(self, method, path, body=None, kind="application/json"):
        return self.connection.ask(method, path, body, kind)

    def merge(self, path, body):
        return self.api("PATCH", path, body, "application/merge-patch+json")

    def scale(self, namespace, kind, name, replicas):
        group = "/apis/apps/v1" if kind in ("deployments", "statefulsets") else "/api/v1"
        self.merge(f"{group}/namespaces/{namespace}/{kind}/{name}", {"spec": {"replicas": replicas}})

    def replicas(self, namespace):
        """{"deployments/pachd": count, ...} of all workloads of a namespace."""
        found = {}
        for group, kind in (("/apis/apps/v1", "deployments"), ("/api/v1", "replicationcontrollers")):
            for item in self.api("GET", f"{group}/namespaces/{namespace}/{kind}")["items"]:
                found[f"{kind}/{item['metadata']['name']}"] = item["spec"]["replicas"]
        return found

    def ready(self, namespace):
        found = {}
        for group, kind in (("/apis/apps/v1", "deployments"), ("/api/v1", "replicationcontrollers")):
            for item in self.api("GET", f"{group}/namespaces/{namespace}/{kind}")["items"]:
                found[f"{kind}/{item['metadata']['name']}"] = item["status"].get("readyReplicas", 0)
        return found

    def pods(self, namespace, **labels):
        """Names of pods that have these labels and are there."""
        return [item["metadata"]["name"] for item in self.api("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
                if item["status"].get("phase") not in ("Succeeded", "Failed")
                and all(item["metadata"].get("labels", {}).get(name) == value for name, value in labels.items())]

    def exists(self, path):
        try:
            self.api("GET", path)
            return True
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False

    # ---- kubectl ----

    def kubectl(self, *arguments, text=None, check=True):
        run = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, *arguments], input=text,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
                             env={**os.environ, "KUBECACHEDIR": os.path.join(self.folder, "cache")})
        if check and run.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {run.stderr}")
        return run.stdout

    def apply(self, objects):
        """Creates or changes; retried, as a namespace a moment old refuses some."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        for attempt in range(20):
            try:
                return self.kubectl("apply", "-f", "-", text=text)
            except RuntimeError:
                if attempt == 19:
                    raise
                time.sleep(0.5)

    def delete_namespace(self, name):
        self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def user(self, name, rules=None, namespace=None):
        """A kubeconfig of a service account that has these rights in the namespace, or none."""
        place = namespace or "default"
        self.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": place}}])
        if rules:
            self.apply([
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                 "metadata": {"name": name, "namespace": place}, "rules": rules},
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                 "metadata": {"name": name, "namespace": place},
                 "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": place}],
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}}])
        token = self.api("POST", f"/api/v1/namespaces/{place}/serviceaccounts/{name}/token",
                         {"spec": {"expirationSeconds": 7200}})["status"]["token"]
        with open(self.kubeconfig, encoding="ascii") as file:
            text = file.read()
        path = os.path.join(self.folder, f"kubeconfig-{name}")
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace(self.token, token))
        return path

    # ---- outages ----

    def _api_server(self):
        """Its process."""
        with open(os.path.join(self.directory, "pids"), encoding="ascii") as file:
            for line in file:
                pid, name, _ = line.split(" ", 2)
                if name == "kube-apiserver":
                    return int(pid)
        raise RuntimeError("no API server is recorded")

    def hang_api_server(self):
        """It stops answering, as a machine that hangs: whoever asks waits."""
        os.kill(self._api_server(), signal.SIGSTOP)

    def wake_api_server(self):
        with contextlib.suppress(OSError, RuntimeError):
            os.kill(self._api_server(), signal.SIGCONT)

    def stop_api_server(self):
        """It is gone: connections break, and then they are refused. start_api_server() brings it back, on what it
        has stored."""
        pid = self._api_server()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self._stopped = file.read().decode().split("\0")[:-1]
        os.kill(pid, signal.SIGKILL)
        scenario.wait_until(lambda: _is_free(self.port), 30, "the API server's port to be free", poll_s=0.05)

    def start_api_server(self):
        with open(os.path.join(self.directory, "log", "kube-apiserver.log"), "ab") as log:
            process = subprocess.Popen(self._stopped, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        pids = os.path.join(self.directory, "pids")
        with open(pids, encoding="ascii") as file:
            lines = [line.split(" ", 2) for line in file]
        with open(pids + ".new", "w", encoding="ascii") as file:
            for pid, name, program in lines:
                file.write(f"{process.pid if name == 'kube-apiserver' else pid} {name} {program}")
        os.rename(pids + ".new", pids)
        scenario.wait_until(self._is_ready, 60, "the API server to be ready again", poll_s=0.2)

    def _is_ready(self):
        try:
            return self.connection.exchange("GET", "/readyz")[0].status == 200
        except (OSError, http.client.HTTPException):
            return False
