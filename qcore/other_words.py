"""Words that users bring along from other job queues, and what they mean here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_OPTIONS = {
    "delay": ("countdown", "eta", "wait", "run_at", "at", "delay_until", "delay_seconds", "schedule", "in_"),
    "tries": ("retries", "max_retries", "max_tries", "attempts", "max_attempts", "retry", "retry_limit"),
    "backoff": ("retry_delay", "retry_backoff", "default_retry_delay", "min_backoff", "interval"),
    "timeout": ("time_limit", "soft_time_limit", "job_timeout", "max_time", "expires"),
    "queue": ("queue_name", "on_queue", "routing_key", "tube"),
    "connection": ("broker", "backend", "on_connection"),
    "name": ("job_name", "actor_name", "task_name"),
    "unique_for": ("unique_until", "lock_ttl"),
}
_OPTION_OF = {other: ours for ours, others in _OPTIONS.items() for other in others}
_TO_PUSH = {
    "delay",
    "apply_async",
    "enqueue",
    "enqueue_in",
    "send",
    "send_with_options",
    "schedule",
    "kiq",
    "defer",
    "s",
}


def option_hints(unknown: Collection[str], known: Collection[str]) -> str:
    """Say which options may be meant: ``; did you mean delay= for countdown=?``; empty when nobody can tell."""
    meant = {each: ours for each in sorted(unknown) if (ours := _OPTION_OF.get(each) or _close(each, known)) in known}
    pairs = [f"{ours}= for {each}=" for each, ours in meant.items()]
    return f"; did you mean {', '.join(pairs)}?" if pairs else ""


def dispatch_hint(attribute: str, job: str) -> str:
    """Say how a job function is dispatched, if another queue calls it by this attribute; else empty."""
    if attribute not in _TO_PUSH:
        return ""
    return f"; write {job}.dispatch(...), or {job}.job(...).dispatch(delay=60) with options"


def _close(word: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # only where something is wrong already

    return next(iter(get_close_matches(word, known, n=1)), "")
