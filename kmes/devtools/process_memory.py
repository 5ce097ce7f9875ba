"""How much memory and processor time processes and all that they started take, read from Linux' /proc."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
KB_PER_MB = 1024
TICKS = os.sysconf("SC_CLK_TCK")


def family_of(pid: int) -> list[int]:
    """Return the process and its living descendants."""
    parents: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything, stand the state and the parent.
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found.extend(child for child, parent in parents.items() if parent == each and child not in found)
    return found


def proportional_mb(pid: int) -> float:
    """Return a process's memory with each shared page divided among those who share it (PSS), in MiB."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / KB_PER_MB for line in lines if line.startswith("Pss:")), 0.0)


def resident_mb(pid: int) -> float:
    """Return a process's resident memory (RSS), shared pages counted in full, in MiB."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / KB_PER_MB for line in lines if line.startswith("VmRSS:")), 0.0)


def cpu_seconds(pids: list[int]) -> float:
    """Return how long these processes have computed."""
    total = 0
    for pid in pids:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS
