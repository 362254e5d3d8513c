#!/usr/bin/env python3
"""Every test has clouds switched off: tests/support/no_clouds.env is used by all of them, for every program."""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(HERE, "..", "support")
sys.path.insert(0, SUPPORT)
# As if by somebody who is logged in, before anything of ours is imported.
os.environ.update(AWS_ACCESS_KEY_ID="of-the-caller", AWS_PROFILE="of-the-caller", GCE_METADATA_HOST="10.0.0.1",
                  GOOGLE_APPLICATION_CREDENTIALS="/of/the/caller", PBCOPY_SOURCE_ACCESS_KEY_ID="of-the-caller")

import no_clouds
import scenario

# Addresses that give keys away.
FORBIDDEN = ("169.254.", "fd00:ec2", "metadata.google.internal")


def imports_of(path):
    with open(path, encoding="utf-8") as file:
        return set(re.findall(r"^(?:from|import) (\w+)", file.read(), re.MULTILINE))


def reaches(name, module, seen=()):
    """Whether importing a file of tests/support imports `module`."""
    path = os.path.join(SUPPORT, name + ".py")
    if name == module:
        return True
    return name not in seen and os.path.exists(path) and any(
        reaches(each, module, (*seen, name)) for each in imports_of(path))


class NoClouds(scenario.Scenario):
    def told(self, text):
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def assert_off(self, found):
        for name, value in no_clouds.VARIABLES.items():
            self.assertEqual(found.get(name), value, name)
        for name, value in found.items():
            if name not in no_clouds.VARIABLES and name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                self.assertFalse(name.startswith(no_clouds.STARTS), f"{name}={value}")
            self.assertNotIn("of-the-caller", value)

    def test_the_variables_lead_nowhere(self):
        for wanted in ("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "GCE_METADATA_HOST"):
            self.assertIn(wanted, no_clouds.VARIABLES)
        for name, value in no_clouds.VARIABLES.items():
            self.assertRegex(value, r"^(true|(http://)?127\.0\.0\.1:9)$", name)

    def test_what_runs_of_pbcopy_get(self):
        run = self.begin(command=["/usr/bin/env"]).wait()
        self.assert_off(self.told(run.stdout))

    def test_what_other_programs_get(self):
        self.assert_off(self.told(subprocess.run(["/usr/bin/env"], check=True, capture_output=True, text=True).stdout))

    def test_what_shell_tests_get(self):
        caller = {**os.environ, "AWS_ACCESS_KEY_ID": "of-the-caller", "GCE_METADATA_HOST": "10.0.0.1"}
        run = subprocess.run(["bash", "-c", f". {SUPPORT}/no_clouds.sh; env"], env=caller, check=True,
                             capture_output=True, text=True)
        found = self.told(run.stdout)
        self.assert_off(found)
        self.assertNotIn("AWS_ACCESS_KEY_ID", found)

    def test_all_tests_use_it(self):
        for path in glob.glob(os.path.join(HERE, "*.py")):
            self.assertTrue(any(reaches(name, "no_clouds") for name in imports_of(path)), path)
        for path in glob.glob(os.path.join(HERE, "*.sh")):
            with open(path, encoding="utf-8") as file:
                self.assertIn("/../support/no_clouds.sh", file.read(), path)

    def test_no_test_runs_against_a_cloud(self):
        """Addresses of clouds stand in tests of the texts alone, never in what runs."""
        for path in glob.glob(os.path.join(HERE, "*")) + glob.glob(os.path.join(SUPPORT, "*.py")):
            if os.path.isfile(path) and path != os.path.abspath(__file__):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text = re.sub(r"#.*", "", file.read())
                for word in FORBIDDEN:
                    self.assertNotIn(word, text, path)


if __name__ == "__main__":
    scenario.main()
