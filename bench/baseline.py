"""The saved baseline: pbcopy's CPU per unit in each scenario, relative to a calibration of the same run."""

import json

ALLOWED = 1.25  # a figure beyond this many times the saved one is a regression
CLIENT = "pbcopy"


def figures_of(report):
    """{scenario: CPU per unit, in millionths of the calibration's CPU}"""
    return {row["name"]: row["clients"][CLIENT]["cpu_s"] / row["calibration_s"] * 1e6
            for row in report["rows"] if CLIENT in row["clients"] and row["work"] != "first-copy"}


def save(report, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"scale": report["scale"], "large": report["large"],
                   "cpu_per_unit_in_millionths_of_calibration":
                       {name: float(f"{value:.4g}") for name, value in figures_of(report).items()}},
                  file, indent=2)
        file.write("\n")


def check(report, path):
    """[(scenario, ratio to the baseline)] and whether all are within ALLOWED; of scenarios without a saved
    figure the ratio is None. A baseline of another scale, where start-up weighs otherwise, is an error."""
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    if (saved["scale"], saved["large"]) != (report["scale"], report["large"]):
        raise ValueError(f"the baseline was saved at --scale {saved['scale']:g}"
                         f"{' --large' if saved['large'] else ''}: a check wants the same")
    known = saved["cpu_per_unit_in_millionths_of_calibration"]
    ratios = [(name, value / known[name] if name in known else None) for name, value in figures_of(report).items()]
    return ratios, all(ratio is None or ratio <= ALLOWED for _, ratio in ratios)
