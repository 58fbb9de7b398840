"""What the exporter's process holds during a soak, and whether it is ever more."""

import ctypes
import gc
import math
import os
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.soak.faults import CALM, Life

MOST_GROWTH_MIB_PER_HOUR = 1.0
MINIMA_SECONDS = 15.0
FEWEST_POINTS = 3
QUIET_AFTER = 600.0
"""Seconds of the soak after which a calm is one: what had failed has been asked again."""
TELL_EVERY_SECONDS = 3.0
MIB = 1 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip
    uordblks: int
    hblkhd: int


def keep_telling(file: Path) -> None:
    """Write into a file, from a thread of its own, how much memory this process has in use.

    What nobody can reach any more is collected before, so that it is not counted.
    """
    expected = ctypes.CDLL(None).mallinfo2
    expected.restype = _Mallinfo

    def tell() -> None:
        while True:
            gc.collect()
            info = expected()
            file.write_text(f"{info.uordblks + info.hblkhd:020}", encoding="ascii")
            time.sleep(TELL_EVERY_SECONDS)

    threading.Thread(target=tell, daemon=True).start()


@dataclass(frozen=True)
class Footprint:
    """What the exporter's process held at a moment (Unix seconds of the soak, and its own).

    Attributes:
        used_mib: what is allocated; the rest of what is resident is free, or code.
        series: on the page; each keeps some memory from when it is first counted on.
    """

    at: float
    seconds: float
    used_mib: float
    resident_mib: float
    files: int
    threads: int
    series: int

    @classmethod
    def of(cls, pid: int, expected: Path, at: float, series: int) -> "Footprint":
        """Look at a process that keeps telling."""
        used = int(expected.read_text(encoding="ascii") or 0) / MIB
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text(encoding="ascii").split()[1])
        files, threads = (sum(1 for _ in (process / each).iterdir()) for each in ("fd", "task"))
        resident = pages * PAGE_BYTES / MIB
        return cls(at, time.monotonic(), used, resident, files, threads, series)


Course = Sequence[tuple[float, float]]
"""Seconds of the machine's, and MiB."""


@dataclass(frozen=True)
class Slope:
    """MiB per hour of the machine's, by least squares, with its standard error."""

    per_hour: float
    error: float

    @classmethod
    def of(cls, course: Course) -> "Slope":
        """The slope of a course of at least three looks."""
        seconds, memory = zip(*course, strict=True)
        line = statistics.linear_regression(seconds, memory)
        mean = statistics.fmean(seconds)
        left = sum((y - line.intercept - line.slope * x) ** 2 for x, y in course)
        spread = sum((x - mean) ** 2 for x in seconds)
        return cls(line.slope * 3_600, math.sqrt(left / (len(course) - 2) / spread) * 3_600)


def minima(course: Course) -> Course:
    """The smallest of every whole quarter of a minute; of fewer looks it would be larger."""
    (first, _), (last, _) = course[0], course[-1]
    smallest: dict[int, tuple[float, float]] = {}
    for seconds, memory in course:
        place = int((seconds - first) // MINIMA_SECONDS)
        if place not in smallest or memory < smallest[place][1]:
            smallest[place] = (seconds, memory)
    smallest.pop(int((last - first) // MINIMA_SECONDS), None)
    return list(smallest.values())


def report_files(prints: Sequence[Footprint], life: Life) -> bool:
    """Whether no more files are always open in the last calm than in the first.

    The fewest of a calm are those that stay open; how many more there are at a look depends on how
    many requests and scrapes meet in it.
    """
    calms = [
        [each for each in prints if begins + QUIET_AFTER <= each.at < begins + CALM]
        for begins in (life.warm, life.calm)
    ]
    (first, last) = ([each.files for each in calm] for calm in calms)
    all_files, threads = [each.files for each in prints], [each.threads for each in prints]
    print(
        f"open files: calm after warm-up {min(first)} to {max(first)}, calm at the end "
        f"{min(last)} to {max(last)}, ever {min(all_files)} to {max(all_files)}"
    )
    of_calms = [max(each.threads for each in calm) for calm in calms]
    print(f"threads: {of_calms[0]}, then {of_calms[1]}, ever {min(threads)} to {max(threads)}")
    return min(last) <= min(first)


def report_memory(prints: Sequence[Footprint], speed: float) -> bool:
    """Whether the memory in use grew by no more than it may."""
    used = [(each.seconds, each.used_mib) for each in prints if each.used_mib]
    resident = [(each.seconds, each.resident_mib) for each in prints]
    for what, course in (("in use", used), ("resident", resident)):
        lows = minima(course)
        memory = [mib for _, mib in course]
        print(
            f"memory {what}: {memory[0]:.2f} MiB after warm-up, {memory[-1]:.2f} MiB at the end, "
            f"{min(memory):.2f} to {max(memory):.2f} MiB between"
        )
        print("  minima of 15 s: " + " ".join(f"{mib:.1f}" for _, mib in lows))
        for of_what, points in (
            ("all looks", course),
            ("the minima of 15 s", lows),
            ("the later half of these", lows[len(lows) // 2 :]),
        ):
            if len(points) < FEWEST_POINTS:
                continue
            slope = Slope.of(points)
            print(
                f"  slope over {of_what}: {slope.per_hour:+.2f} ± {slope.error:.2f} MiB per hour, "
                f"{slope.per_hour / speed:+.4f} MiB per hour lived"
            )
    print(f"series: {prints[0].series} after warm-up, {prints[-1].series} at the end")
    lows = minima(used)
    if len(lows) < FEWEST_POINTS:
        print("too short to show whether the memory grows")
        return False
    return Slope.of(lows).per_hour < MOST_GROWTH_MIB_PER_HOUR
