"""What a command costs: CPU of all its processes, wall time, peak memory; and how fast this machine is."""

import hashlib
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

TIMEOUT_S = 3600


class Failed(Exception):
    """Work that was not done, or not all of it: no figure may come of it."""


@dataclass(frozen=True)
class Sample:
    cpu_s: float  # user and system, of the command and all it started
    wall_s: float
    peak_bytes: int  # of the largest of its processes; 0 of a command that was ended early
    started_utc_s: float
    stdout: str


def run(command, env, folder, until=None):
    """Runs a command to its end, or until `until()` is true (asked every 5 ms; the command is then killed).

    A command that fails, or takes longer than TIMEOUT_S, raises Failed."""
    # What wait4 says of memory counts this process before the exec too; time(1) is small.
    peak_file = os.path.join(folder, "peak")
    timed = ["/usr/bin/time", "--quiet", "--format", "%M", "--output", peak_file, *command]
    with open(os.path.join(folder, "stdout"), "w+b") as out, open(os.path.join(folder, "stderr"), "w+b") as err:
        started_utc_s, started = time.time(), time.monotonic()
        process = subprocess.Popen(timed, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                                   start_new_session=True)
        reason = []

        def kill(why):
            reason.append(why)
            os.killpg(process.pid, signal.SIGKILL)  # the session of this command alone

        timer = threading.Timer(TIMEOUT_S, kill, ["timeout"])
        timer.daemon = True
        timer.start()
        try:
            while until and not _is_over(process.pid):
                if until():
                    kill("until")
                    break
                time.sleep(0.005)
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            kill("cancelled")
            process.wait()
            raise
        finally:
            timer.cancel()
        wall_s = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout = out.read().decode(errors="replace")
        if reason != ["until"] and (process.returncode or reason):
            stderr = err.read().decode(errors="replace")
            raise Failed(f"{' '.join(command)}: exit {process.returncode} {' '.join(reason)}\n{stderr[-2000:]}")
    peak_bytes = 0
    if not reason:
        with open(peak_file, encoding="ascii") as file:
            peak_bytes = int(file.read()) * 1024
    return Sample(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s, peak_bytes=peak_bytes,
                  started_utc_s=started_utc_s, stdout=stdout)


def _is_over(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def calibrate():
    """CPU seconds of a fixed piece of work, about one second: hashing, copying, system calls, on one thread.

    A figure divided by this can be compared with one of another machine, roughly: machines differ in more
    than one number."""
    source, block = bytearray(os.urandom(1 << 20)), bytes(512)
    with open(os.devnull, "wb", buffering=0) as null:
        before = resource.getrusage(resource.RUSAGE_THREAD)
        for _ in range(700):
            hashlib.sha256(source).digest()
        for _ in range(3600):
            bytes(source)
        for _ in range(1000000):
            null.write(block)
        for _ in range(360000):
            hashlib.sha256(block).digest()
        after = resource.getrusage(resource.RUSAGE_THREAD)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
