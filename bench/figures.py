"""Rows as text, and the figures that are made of rows."""

from scenarios import GIB

_OWN = "pbcopy"


def per_unit(seconds, unit):
    """Seconds a unit, in a unit of time that reads well."""
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1 or name == "us":
            return f"{seconds * factor:.3g} {name}/{unit}"
    raise AssertionError


def rate(seconds, unit):
    """Of seconds a unit."""
    value = 1 / seconds
    return f"{value:,.0f} {unit}/s" if value >= 100 else f"{value:.3g} {unit}/s"


def table(row):
    """What is told of one scenario. Ratios are to pbcopy: beyond 1, the peer costs more."""
    title = [f"\n{row['name']}: {row['work']}, --parallel {row['parallel']}"]
    title += [f"{row['latency_ms']} ms latency"] if row["latency_ms"] else []
    title += ["TLS"] if row["tls"] else []
    lines = [", ".join(title)]
    ours = row["clients"][_OWN]
    for name, each in row["clients"].items():
        if each["first_s"] is not None:
            lines.append(f"  {name:18}{each['first_s']:9.3f} s from start to the first copy request"
                         f"{each['first_s'] / ours['first_s']:9.1f} x")
            continue
        lines.append(f"  {name:18}{per_unit(each['cpu_s'], row['unit']):>16} CPU{each['cpu_s'] / ours['cpu_s']:7.1f} x"
                     f"{rate(each['wall_s'], row['unit']):>19}{each['wall_s'] / ours['wall_s']:7.1f} x wall"
                     f"   peak {each['peak_bytes'] / 1e6:6.0f} MB   {each['units']:11,.9g} x {each['runs']}"
                     f"   spread {each['cpu_spread']:.2f}")
    return "\n".join(lines)


def derived(rows):
    """{name: a sentence}"""
    by_name = {row["name"]: row for row in rows}
    told = {}
    for name in ("copy-20ms", "copy-20ms-tls", "relay-4k-20ms"):
        if name in by_name:
            row, limit = by_name[name], by_name[name]["parallel"] / (by_name[name]["latency_ms"] / 1e3)
            limit /= 2 if row["work"] == "relay" else 1  # a GET and a PUT
            told[f"{name}-share"] = f"{name}: " + ", ".join(
                f"{client} {1 / each['wall_s'] / limit:.0%}" for client, each in row["clients"].items()) + \
                f" of the {limit:,.0f} objects/s that {row['parallel']} in flight can have"
    if "list-flat-20ms" in by_name:
        clients = by_name["list-flat-20ms"]["clients"]
        told["list-against-sequential"] = "list-flat-20ms, wall time a key: pbcopy is " + ", ".join(
            f"{each['wall_s'] / clients[_OWN]['wall_s']:.1f} times as quick as {client}"
            for client, each in clients.items() if client != _OWN)
    if "first-copy" in by_name:
        row = by_name["first-copy"]
        told["first-copy"] = f"first copy request at {row['clients'][_OWN]['units']:,.0f} keys: " + ", ".join(
            f"{client} {each['first_s']:.2f} s" for client, each in row["clients"].items())
    if "wait-0ms" in by_name and "wait-500ms" in by_name:
        told["idle"] = "CPU while waiting (what 500 ms of latency add, over the time they add): " + ", ".join(
            f"{client} {_idle(by_name['wait-0ms'], by_name['wait-500ms'], client):.2%} of a core"
            for client in by_name["wait-500ms"]["clients"])
    if rows:
        most = max(rows, key=lambda row: row["clients"][_OWN]["peak_bytes"])
        told["peak"] = (f"largest peak memory of pbcopy: {most['clients'][_OWN]['peak_bytes'] / GIB:.3f} GiB "
                        f"in {most['name']}")
    return told


def _idle(without, waiting, client):
    before, after = without["clients"][client], waiting["clients"][client]
    return (after["cpu_s"] - before["cpu_s"]) / (after["wall_s"] - before["wall_s"])
