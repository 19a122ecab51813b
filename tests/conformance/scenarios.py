"""What the pinned suite runs for each revision, the scenarios that it does not score included."""

from __future__ import annotations

IN_BOTH = [
    "completion-complete",
    "dns-rebinding-protection",
    "json-schema-2020-12",
    "prompts-get-embedded-resource",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-with-image",
    "prompts-list",
    "resources-list",
    "resources-read-binary",
    "resources-read-text",
    "resources-templates-read",
    "server-sse-multiple-streams",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-error",
    "tools-call-image",
    "tools-call-mixed-content",
    "tools-call-simple-text",
    "tools-call-with-progress",
    "tools-list",
]

SCENARIOS = {
    "2025-11-25": [
        *IN_BOTH,
        *[
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "logging-set-level",
            "ping",
            "resources-subscribe",
            "resources-unsubscribe",
            "server-initialize",
            "server-session-lifecycle",
            "server-sse-polling",
            "tools-call-elicitation",
            "tools-call-sampling",
            "tools-call-with-logging",
        ],
    ],
    "2026-07-28": [
        *IN_BOTH,
        *[
            "caching",
            "http-custom-header-server-validation",
            "http-header-validation",
            "input-required-result-basic-elicitation",
            "input-required-result-basic-list-roots",
            "input-required-result-basic-sampling",
            "input-required-result-capability-check",
            "input-required-result-ignore-extra-params",
            "input-required-result-missing-input-response",
            "input-required-result-multi-round",
            "input-required-result-multiple-input-requests",
            "input-required-result-non-tool-request",
            "input-required-result-request-state",
            "input-required-result-result-type",
            "input-required-result-tampered-state",
            "input-required-result-unsupported-methods",
            "input-required-result-validate-input",
            "sep-2164-resource-not-found",
            "server-stateless",
            "tasks-capability-negotiation",
            "tasks-dispatch-and-envelope",
            "tasks-lifecycle",
            "tasks-mrtr-composition",
            "tasks-mrtr-input",
            "tasks-request-headers",
            "tasks-request-state-removal",
            "tasks-required-task-error",
            "tasks-status-notifications",
            "tasks-wire-fields",
        ],
    ],
}

ALWAYS_SKIPPED = {"tasks-status-notifications"}
"""The suite has no way to look at these yet; tests of our own do."""
