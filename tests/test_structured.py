"""Structured output: asked for with a model or a schema, checked by the CLI, an instance in the response."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from claude_agent_sdk import ClaudeAgentOptions
from claude_code_sdk import ClaudeCodeOptions
from pydantic import BaseModel, ValidationError, field_validator

import rxccsdk
from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.testing import reply
from tests.conftest import Real


class City(BaseModel):
    name: str
    people: int | None = None

    @field_validator("name")
    @classmethod
    def _no_atlantis(cls, name: str) -> str:
        if name == "Atlantis":
            raise ValueError("it sank")
        return name


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def handing_in(**value: Any) -> Any:
    return [reply("Here. ").tool("StructuredOutput", value), *[reply("That was it.")] * 8]


async def test_a_model_is_asked_for_and_parsed(real: Real) -> None:
    async with real(handing_in(name="Rome", people=3), output=City) as session:
        response = await session.query("go")
        assert response.success
        assert response.structured == {"name": "Rome", "people": 3}
        assert response.parsed == City(name="Rome", people=3)
    assert "StructuredOutput" in [tool["name"] for tool in real.api.requests[0].body["tools"]]


async def test_a_schema_is_asked_for(real: Real) -> None:
    async with real(handing_in(name="Rome"), output=SCHEMA) as session:
        response = await session.stream("go").pipe(cc.to_response())
    assert response.structured == response.parsed == {"name": "Rome"}


async def test_it_is_found_while_it_streams(real: Real) -> None:
    seen: list[City] = []
    async with real(handing_in(name="Rome", people=3), output=City) as session:
        last = await session.stream("go").pipe(cc.parse_json(City), cc.tap_chunks(seen.append))
    assert last == City(name="Rome", people=3)
    assert seen[0].people is None


async def test_what_never_fits_is_an_error_of_structure(real: Real) -> None:
    async with real(handing_in(people=3), output=City) as session:
        response = await session.query("go")
    assert (response.error_kind, response.success, response.parsed) == ("structure", False, None)


async def test_what_fits_the_schema_but_not_the_model_is_one_too(real: Real) -> None:
    async with real(handing_in(name="Atlantis"), output=City) as session:
        response = await session.query("go")
    assert response.error_kind == "structure"
    assert "it sank" in (response.error or "")
    assert response.structured == {
        "name": "Atlantis",
    }


async def test_with_a_session_of_its_own(real: Real) -> None:
    options = real.options(handing_in(name="Rome"), output=City)
    response = await rxccsdk.ask("go", options).pipe(cc.to_response())
    assert response.parsed == City(name="Rome")


@pytest.mark.parametrize("output", [int, list[City], {"type": "array"}, 5, "City"])
def test_what_is_no_object_is_refused_before_anything_starts(output: Any) -> None:
    with pytest.raises(ValidationError, match="output must be"):
        SessionOptions(output=output)


@pytest.mark.parametrize(
    "given",
    [
        ClaudeAgentOptions(output_format={"type": "json_schema", "schema": SCHEMA}),
        ClaudeCodeOptions(extra_args={"json-schema": "{}"}),
    ],
)
async def test_it_is_set_in_one_place(given: Any) -> None:
    with pytest.raises(ValueError, match="output"):
        await ClaudeSession(SessionOptions(output=City, sdk_options=given)).open()


def test_without_output_there_is_nothing_parsed() -> None:
    response = reactivex.of(rxccsdk.ResultChunk("success", False)).pipe(cc.to_response()).run()
    assert (response.structured, response.parsed, response.success) == (None, None, True)
