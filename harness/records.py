"""Outputs as plain JSON objects and back: one form for the cache and for stored runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.types import Output, Passage, Step, ToolCall, Usage

# One encoder for all: `json.dumps` makes a new one at each call that asks for separators.
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def dumps(value: object) -> str:
    """Write JSON that any reader takes: escaped beyond ASCII, so lone surrogates survive too."""
    return _ENCODER.encode(value)


def output_to_json(output: Output) -> dict[str, Any]:
    """Make an output a JSON object. Fields at their default are left out."""
    row: dict[str, Any] = {"case_id": output.case_id, "epoch": output.epoch, "text": output.text}
    if output.tool_calls:
        row["tool_calls"] = [
            {"name": c.name, "arguments": dict(c.arguments), "result": c.result}
            for c in output.tool_calls
        ]
    if output.passages:
        row["passages"] = [
            {"id": p.id, "text": p.text, "rank": p.rank, "score": p.score} for p in output.passages
        ]
    if output.steps:
        row["steps"] = [
            {"name": s.name, "prompt": s.prompt, "text": s.text, "latency_s": s.latency_s}
            for s in output.steps
        ]
    if output.usage is not None:
        row["usage"] = [output.usage.prompt_tokens, output.usage.completion_tokens]
    for name in ("latency_s", "finish_reason", "prompt", "error"):
        value = getattr(output, name)
        if value is not None:
            row[name] = value
    if output.attempts != 1:
        row["attempts"] = output.attempts
    if output.refused:
        row["refused"] = True
    return row


def output_from_json(row: Mapping[str, Any]) -> Output:
    """Make an output of the object that `output_to_json` wrote."""
    usage = row.get("usage")
    return Output(
        case_id=row["case_id"],
        epoch=row["epoch"],
        text=row["text"],
        tool_calls=tuple(ToolCall(**call) for call in row.get("tool_calls", ())),
        passages=tuple(Passage(**passage) for passage in row.get("passages", ())),
        steps=tuple(Step(**step) for step in row.get("steps", ())),
        usage=Usage(prompt_tokens=usage[0], completion_tokens=usage[1]) if usage else None,
        latency_s=row.get("latency_s"),
        attempts=row.get("attempts", 1),
        finish_reason=row.get("finish_reason"),
        refused=row.get("refused", False),
        prompt=row.get("prompt"),
        error=row.get("error"),
    )
