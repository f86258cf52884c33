"""Structured output: the schema that an answer is to fit, and the instance it makes."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from rxccsdk.session.response import SessionResponse

OUTPUT_TOOL = "StructuredOutput"
"""The tool that the CLI gives the agent to hand in what fits the schema."""


def schema_of(output: Any) -> dict[str, Any]:
    """Return the JSON schema of a model, or the schema itself.

    Raises:
        ValueError: it is no schema of an object, or nothing that a schema could be made of.
    """
    if isinstance(output, dict):
        schema = output
    else:
        try:
            schema = TypeAdapter(output).json_schema()
        except Exception as error:
            raise ValueError(f"output must be a pydantic model or a JSON schema: {error}") from error
    if schema.get("type") != "object" and "$ref" not in schema:
        raise ValueError(
            'output must be a model, or a schema with {"type": "object"}: the CLI takes no other.'
        )
    return schema


def put_parsed(response: SessionResponse, output: Any) -> None:
    """Put into a response what its structured output makes; where it fits not, that is its error.

    Args:
        response: of a turn that has its result, or not yet.
        output: the model or schema that was asked for.
    """
    if response.metadata.subtype is None or response.error is not None:
        return
    if response.structured is None:
        _fail(response, "The agent gave no output that fits the schema.")
    elif isinstance(output, dict):
        response._parsed = response.structured
    else:
        try:
            response._parsed = TypeAdapter(output).validate_python(response.structured)
        except ValidationError as error:
            _fail(response, f"The output fits the schema, but not the model: {error}")


def _fail(response: SessionResponse, words: str) -> None:
    response.error, response.error_kind = words, "structure"
