"""Real servers and clients for tests, built once from Go modules by go_servers/build.

Each function gives (path, None), or (None, reason) where it cannot be had: the caller decides whether that ends the
test (scenario.unavailable) or whether something else does. The first call on a machine builds, which takes minutes.
"""

import functools
import os
import subprocess

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "go_servers", "build")
NO_GO = 77
BUILD_TIMEOUT_S = 1100


@functools.cache
def _programs(name):
    run = subprocess.run([BUILD, name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if run.returncode not in (0, NO_GO):
        raise RuntimeError(f"go_servers/build {name}: {run.stderr}")  # where Go is, a failure is nothing to skip for
    if run.returncode:
        return None, run.stderr.strip().rsplit("go_servers/build: ", 1)[-1]
    return run.stdout.strip(), None


def _program(name, program):
    folder, reason = _programs(name)
    return (os.path.join(folder, program), None) if folder else (None, reason)


def kubernetes():
    """The folder of kube-apiserver, kube-controller-manager and kubectl, of one version."""
    return _programs("kubernetes")


def kubectl():
    return _program("kubernetes", "kubectl")


def helm():
    return _program("helm", "helm")


def minio():
    return _program("minio", "minio")


def fake_gcs_server():
    return _program("fake-gcs-server", "fake-gcs-server")
