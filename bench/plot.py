"""The report as a picture (SVG, nothing but text): for each scenario, each client's CPU a unit over pbcopy's, on
a log scale, with the figures written beside."""

import math
from xml.sax.saxutils import escape

import figures

_COLOURS = {"pbcopy": "#1f6f8b", "pbcopy-sequential": "#79b4c4", "s5cmd": "#e08e45", "rclone": "#8a6fae",
            "mc": "#c4525f", "awscli": "#7d8a4a", "s3cmd": "#9c7a5b"}
_LEFT, _BARS, _RIGHT = 150, 430, 440
_TOP, _BAR, _GAP, _TITLE = 96, 15, 14, 20


class _Canvas:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, anchor="start", size=12, weight="normal", colour="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
                          f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>')

    def line(self, x, top, bottom, colour):
        self.parts.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>')


def _ratios(row):
    """{client: (its cost over pbcopy's, what is written beside the bar)}"""
    clients, unit = row["clients"], row["unit"]
    ours = clients["pbcopy"]
    if row["work"] == "first-copy":
        return {name: (each["first_s"] / ours["first_s"], f"{each['first_s']:.3g} s until the first copy request")
                for name, each in clients.items()}
    return {name: (each["cpu_s"] / ours["cpu_s"],
                   f"{figures.per_unit(each['cpu_s'], unit)} CPU, {figures.rate(each['wall_s'], unit)}, "
                   f"{each['peak_bytes'] / 1e6:.0f} MB") for name, each in clients.items()}


def svg(report):
    rows = [(row, _ratios(row)) for row in report["rows"]]
    ratios = [ratio for _, each in rows for ratio, _ in each.values()] or [1]
    low = math.floor(math.log10(min(*ratios, 0.999)))
    high = max(1, math.ceil(math.log10(max(ratios))))

    def place(ratio):
        return _LEFT + _BARS * (math.log10(ratio) - low) / (high - low)

    height = _TOP + sum(_TITLE + _BAR * len(each) + _GAP for _, each in rows) + 20
    width = _LEFT + _BARS + _RIGHT
    canvas = _Canvas()
    canvas.text(16, 28, "pbcopy beside its peers: CPU a unit of work, as many times pbcopy's", size=18, weight="bold")
    canvas.text(16, 48, f"{report['machine']}, in-memory store on loopback, medians of up to {report['runs']} runs, "
                f"scale {report['scale']:g}, {report['date'][:10]}; log scale, shorter is better", colour="#555")
    for power in range(low, high + 1):
        x = place(10 ** power)
        canvas.line(x, _TOP - 14, height - 16, "#888" if power == 0 else "#ddd")
        canvas.text(x, _TOP - 20, f"{10 ** power:g} x", anchor="middle", size=11, colour="#555")
    y = _TOP
    for row, clients in rows:
        traits = [f"--parallel {row['parallel']}"]
        traits += [f"{row['latency_ms']} ms latency"] if row["latency_ms"] else []
        traits += ["TLS"] if row["tls"] else []
        canvas.text(16, y + 13, f"{row['name']}  ({', '.join(traits)})", weight="bold")
        y += _TITLE
        for name, (ratio, words) in clients.items():
            end = place(ratio)
            canvas.bar(_LEFT, y, max(end - _LEFT, 1), _BAR - 3, _COLOURS[name])
            canvas.text(_LEFT - 6, y + 10, name, anchor="end", size=11)
            canvas.text(end + 6, y + 10, f"{ratio:.2g} x" if ratio < 10 else f"{ratio:.0f} x", size=11, weight="bold")
            canvas.text(_LEFT + _BARS + 56, y + 10, words, size=11, colour="#444")
            y += _BAR
        y += _GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="DejaVu Sans, Helvetica, sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(canvas.parts) + "\n</svg>\n")
