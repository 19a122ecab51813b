"""Worlds of their own for a server, in which the system gives less than elsewhere."""

from __future__ import annotations

import subprocess

import pytest


def in_a_world_without_watches(command: list[str]) -> list[str]:
    """Start a program where the system gives no watches; skips where nobody may make such a world."""
    setting = "/proc/sys/user/max_inotify_watches"
    world = ["unshare", "--user", "--map-root-user", "sh", "-c", f'echo 0 > {setting} && exec "$0" "$@"']
    try:
        subprocess.run([*world, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system has no namespaces for users")
    return [*world, *command]
