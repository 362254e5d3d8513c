"""What deploy/ ships for Kubernetes, on a real API server."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario

DEPLOY = os.path.join(os.environ["SOURCE_DIR"], "deploy")


class Deploy(ClusterScenario):
    def objects(self, name):
        """Of a file in deploy/, as kubectl reads it."""
        with open(os.path.join(DEPLOY, name), encoding="utf-8") as file:
            text = self.cluster.kubectl("create", "--dry-run=client", "--output=json", "--filename=-", text=file.read())
        decoder, objects = json.JSONDecoder(), []
        while text.strip():
            value, end = decoder.raw_decode(text.lstrip())
            text = text.lstrip()[end:]
            objects += value["items"] if value["kind"] == "List" else [value]
        return objects

    def test_the_cronjob_sorts_on_a_volume(self):
        job, = (o for o in self.objects("cronjob.yaml") if o["kind"] == "CronJob")
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        container, = pod["containers"]
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        folder, = (v["value"] for v in container["env"] if v["name"] == "TMPDIR")
        mount, = (m for m in container["volumeMounts"] if m["mountPath"] == folder)
        self.assertFalse(mount.get("readOnly"))
        volume, = (v for v in pod["volumes"] if v["name"] == mount["name"])
        self.assertEqual(volume["emptyDir"], {})  # on disk, not in memory


if __name__ == "__main__":
    scenario.main()
