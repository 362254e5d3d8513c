"""What deploy/ ships for Kubernetes, on a real API server."""

import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

DEPLOY = os.path.join(os.environ["SOURCE_DIR"], "deploy")


class Deploy(ClusterScenario):
    def objects(self, name):
        """Of a file in deploy/, as kubectl reads it."""
        with open(os.path.join(DEPLOY, name), encoding="utf-8") as file:
            text = self.cluster.kubectl("create", "--dry-run=client", "--output=json", "--filename=-",
                                        text=file.read())
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

    # ---- rights ----

    def account(self, here):
        """Applies rbac.yaml for this Pachyderm: a kubeconfig of its service account, and its Role."""
        own = self.new_namespace("pbcopy")

        def moved(value):
            if isinstance(value, dict):
                names = {"pachyderm": here.namespace, "pbcopy": own}
                return {key: names.get(each, each) if key == "namespace" else moved(each)
                        for key, each in value.items()}
            return [moved(each) for each in value] if isinstance(value, list) else value

        self.cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}}])
        objects = [moved(each) for each in self.objects("rbac.yaml") if each["kind"] != "Namespace"]
        self.cluster.apply(objects)
        role, = (each for each in objects if each["kind"] == "Role")
        return self.cluster.user("pbcopy", namespace=own), role

    def watched(self):
        """One that writes down what it asks of the API server, and the file that it writes to."""
        log = os.path.join(self.folder, "asked")
        return self.program("kubectl", f'exec $REAL -v=6 "$@" 2> >(tee -a {log} | grep -v ^I >&2)', apart="watched"), log

    @staticmethod
    def asked(log, namespace):
        """{(verb, resource of its group, name)} of the namespace, as RBAC has them."""
        with open(log, encoding="utf-8") as file:
            lines = file.read()
        found = set()
        for method, url in (*re.findall(r'verb="(\w+)" url="([^"]+)"', lines),
                            *re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (https://\S+)", lines)):
            path, _, query = url.partition("?")
            match = re.search(rf"/(?:api/v1|apis/([^/]+)/[^/]+)/namespaces/{namespace}/"
                              r"([^/]+)(?:/([^/]+)(/[^/]+)?)?$", path)
            if not match:
                continue
            group, resource, name, subresource = match.groups()
            name = name or (re.search("metadata.name%3D([^&]+)", query) or [None, None])[1]
            verb = VERBS.get(method) or ("watch" if "watch=true" in query else "get" if match[3] else "list")
            found.add((verb, resource + (f".{group}" if group else "") + (subresource or ""), name))
        return found

    @staticmethod
    def granted(role):
        """The same, of what the Role grants beyond listing; without a name where any is good."""
        return {(verb, re.sub("(?=/|$)", f".{group}" if group else "", resource, count=1), name)
                for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]
                for verb in rule["verbs"] for name in rule.get("resourceNames", [None]) if verb != "list"}

    def add_worker(self, here):
        scenario.wait_until(here.is_suspended, 60, "the record", poll_s=0.02)
        labels = {"suite": "pachyderm", "component": "worker", "app": "pipeline-late-v1"}
        self.cluster.api("POST", f"/api/v1/namespaces/{here.namespace}/replicationcontrollers", {
            "metadata": {"name": "pipeline-late-v1", "labels": labels},
            "spec": {"replicas": 0, "selector": labels, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "user", "image": "x"}]}}}})

    def test_the_role_is_what_is_used(self):
        here = self.pachyderm(chunks=30, workers=1)
        here.start_simulation()
        kubeconfig, role = self.account(here)
        configuration = self.configuration(here, kubeconfig=kubeconfig)
        path, log = self.watched()
        environment = {**self.environment(), "PATH": path}
        told = self.succeed("doctor", "--config", configuration, "--json", **environment).json()
        with open(log, "w", encoding="ascii"):
            pass  # a doctor may ask for less
        # A worker that comes while pachd goes belongs into the record, which is written once more.
        late = threading.Thread(target=self.add_worker, args=(here,))
        late.start()
        for command in "suspend", "resume", "backup":
            run = self.succeed(command, "--config", configuration, **environment)
            self.assertEqual(here.is_suspended(), command == "suspend")
        self.assertNotIn("not captured", run.stderr)
        late.join()
        granted, asked = self.granted(role), set()
        for verb, resource, name in self.asked(log, here.namespace):
            if verb != "list":
                named = {(verb, resource, name), (verb, resource, None)} & granted
                self.assertTrue(named, f"{verb} {resource} {name} is not in rbac.yaml")
                asked |= named
        self.assertEqual(granted - asked, set(), "granted, and not used")
        # And the doctor asks for the same.
        checked = set()
        for check in told["checks"]:
            match = re.fullmatch(r"right to (\w+) ([^/]+)(/.+)?", check["name"])
            if match and match[1] != "list":
                verb, resource, rest = match.groups("")
                is_name = rest not in ("", "/scale")
                checked.add((verb, resource, rest[1:]) if is_name else (verb, resource + rest, None))
        self.assertEqual(checked, granted)

    def test_who_scales_runs_no_image(self):
        here = self.pachyderm(chunks=10, workers=1)
        kubeconfig, role = self.account(here)
        configuration = self.configuration(here, kubeconfig=kubeconfig)

        def as_account(*arguments):
            """Whether kubectl may."""
            try:
                self.cluster.kubectl("--kubeconfig", kubeconfig, "--namespace", here.namespace, *arguments)
                return True
            except RuntimeError as error:
                self.assertRegex(str(error), "orbidden|: no|: $")
                return False

        image = '{"spec":{"template":{"spec":{"containers":[{"name":"pachd","image":"evil.example.com/x"}]}}}}'
        self.assertFalse(as_account("patch", "deployment", "pachd", "--patch", image))
        merge = ("patch", "deployment", "pachd", "--type=merge", "--patch")
        self.assertFalse(as_account(*merge, '{"spec":{"replicas":0}}'))
        # Through the subresource nothing but the count goes in.
        as_account(*merge, image, "--subresource=scale")
        self.assertNotIn("evil.example.com", self.cluster.kubectl("--namespace", here.namespace, "get",
                                                                  "deployment,pod", "--output=json"))
        # What is taken away is missed by the doctor, and by a backup before it has changed anything.
        role["rules"] = [rule for rule in role["rules"] if rule["resources"] != ["deployments/scale"]]
        self.cluster.kubectl("replace", "--filename=-", text=json.dumps(role))
        run = self.pbcopy("doctor", "--config", configuration, "--grace", "5", **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        wrong = re.findall(r"(?m)^WRONG   (.*?): ", run.stdout)
        self.assertEqual(sorted(wrong), ["right to delete pods",
                                         *(f"right to {verb} deployments.apps/scale" for verb in ("get", "patch"))])
        run = self.pbcopy("suspend", "--config", configuration, **self.environment())
        self.assert_failed(run, scenario.REFUSED, "forbidden", hint="doctor")
        self.assertTrue(here.is_scaled_up())
        self.assertFalse(here.is_suspended())

    def test_a_kubectl_without_subresources(self):
        here = self.pachyderm(chunks=10, workers=1)
        here.start_simulation()
        path = self.program("kubectl", 'case "$*" in\n'
                            '"version --client"*) echo \'{"clientVersion":{"gitVersion":"v1.23.17"}}\' ;;\n'
                            '*--subresource=*) echo "Error: unknown flag: --subresource" >&2\n'
                            'echo "See \'kubectl patch --help\' for usage." >&2; exit 1 ;;\n'
                            '*) exec $REAL "$@" ;;\nesac', apart="old")
        environment = {**self.environment(), "PATH": path}
        configuration = self.configuration(here)
        run = self.succeed("doctor", "--config", configuration, **environment)
        self.assertRegex(run.stdout, "(?m)^ok      kubectl: v1.23.17, older than 1.24: ")
        self.assertIn("ok      right to patch deployments.apps: yes\n", run.stdout)
        self.assertNotIn("/scale", run.stdout)
        run = self.succeed("suspend", "--config", configuration, **environment)
        self.assertEqual(run.stderr.count("kubectl is older than 1.24"), 1, run)
        self.assertTrue(here.is_suspended())
        self.succeed("resume", "--config", configuration, **environment)
        self.assertTrue(here.is_scaled_up())


if __name__ == "__main__":
    scenario.main()
