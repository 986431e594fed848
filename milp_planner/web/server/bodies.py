"""Bodies of requests: how they may be written, how large they may be, how long they may take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request

from milp_planner.errors import InputError
from milp_planner.inputs.reading.files import decoded
from milp_planner.inputs.reading.strict_json import parse_json
from milp_planner.web.server.faults import Refused
from milp_planner.web.server.guards import MOST_BYTES
from milp_planner.web.server.solves import Gone

ARRIVES_WITHIN_S = 30.0
BODY = "request"
"""What a body is called in messages."""

JSON = "application/json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")
NOT_FILES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""Forms of other sites can send these without asking; nothing here is sent so."""


async def data_of(request: Request) -> Any:
    """What was sent, as plain data: JSON, or a problem as YAML with all else in the address.

    Raises Refused for what cannot be read.
    """
    media_type = media_type_of(request)
    if media_type != JSON and media_type not in YAML:
        said = f"{media_type or 'nothing'} is not one of {JSON}, {YAML[0]}"
        raise Refused("media-type", f"Content-Type: {said}")
    text = _text(await content_of(request))
    if media_type in YAML:
        return {"problem": text, **_typed(request.query_params)}
    try:
        return parse_json(text, BODY)
    except InputError as error:
        raise Refused("malformed", str(error)) from None


async def file_of(request: Request) -> bytes:
    """An uploaded file as it is."""
    if media_type_of(request) in NOT_FILES:
        raise Refused("media-type", "Content-Type: say what the file is, such as text/csv")
    return await content_of(request)


async def content_of(request: Request, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a body; raises Refused where they are too many or too slow."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            async for part in request.stream():
                size += len(part)
                if size > most_bytes:
                    raise Refused("too-large", f"at most {most_bytes / 1e6:g} MB are read")
                parts.append(part)
    except TimeoutError:
        raise Refused("too-slow", f"{ARRIVES_WITHIN_S:g} s are given") from None
    except ClientDisconnect:
        raise Gone from None
    return b"".join(parts)


def media_type_of(request: Request) -> str:
    """`application/json` of `application/json; charset=utf-8`."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _text(content: bytes) -> str:
    try:
        return decoded(content, BODY)
    except InputError as error:
        raise Refused("malformed", str(error)) from None


def _typed(query: Mapping[str, str]) -> dict[str, Any]:
    """Values of an address, as JSON would have them."""
    plain = {"true": True, "false": False}
    return {key: plain.get(text, _number_or_text(text)) for key, text in query.items()}


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 10 else text
