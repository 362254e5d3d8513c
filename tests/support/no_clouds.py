"""Clouds are switched off in tests: nothing of the caller's login is left in the environment, and the variables of
no_clouds.env are set. Importing this does it for this process and so for all that it starts; scenario.py imports it, and
environment() of it begins with VARIABLES, as that takes nothing else over."""

import os

# What a login of the caller, or another endpoint, could come in by.
STARTS = ("AWS_", "GOOGLE_", "GCE_METADATA_", "CLOUDSDK_", "AZURE_", "PBCOPY_SOURCE_", "PBCOPY_REPOSITORY_",
          "PBCOPY_DESTINATION_", "STORAGE_EMULATOR_HOST")


def _read():
    found = {}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "no_clouds.env"), encoding="ascii") as file:
        for line in file:
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                found[name] = value
    return found


VARIABLES = _read()


def switch_off():
    for name in list(os.environ):
        if name.startswith(STARTS):
            del os.environ[name]
    os.environ.update(VARIABLES)


switch_off()
