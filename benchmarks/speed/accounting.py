"""What the operating system says that a process has used."""

from __future__ import annotations

from pathlib import Path


def cpu(pid: int) -> float:
    """CPU seconds of all threads that a process has now, to the nanosecond (Linux, /proc/PID/task/TID/schedstat)."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has ended meanwhile
    return total / 1e9


def resident(pid: int) -> float:
    """The resident set of a process in MiB."""
    return _read_status(pid, "VmRSS")


def peak(pid: int) -> float:
    """The largest resident set that a process has had, in MiB."""
    return _read_status(pid, "VmHWM")


def _read_status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {name}")
