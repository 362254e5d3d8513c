"""Runs that meet, freeze, wake and die, where source, repository or both are directories."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from run_scenarios import DeadRunScenarios, MeetingScenarios, OnOrigin


class FolderRuns(OnOrigin, MeetingScenarios, DeadRunScenarios, scenario.Scenario):
    """From a directory to a directory."""

    objects = 800

    def place(self, name):
        return self.directory(name)


class IntoStoreRuns(OnOrigin, DeadRunScenarios, scenario.Scenario):
    """From a directory to a store."""

    def place(self, name):
        return self.directory(name) if name == "source" else self.bucket(name, self.server)


class IntoFolderRuns(OnOrigin, DeadRunScenarios, scenario.Scenario):
    """From a store to a directory."""

    def place(self, name):
        return self.directory(name) if name == "repository" else self.bucket(name, self.server)


if __name__ == "__main__":
    scenario.main()
