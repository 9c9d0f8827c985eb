from __future__ import annotations

import json

import pytest

from appliance.gateway import errors
from appliance.gateway.problems import error_response

ALL = [
    errors.MalformedError,
    errors.UnauthenticatedError,
    errors.ForbiddenError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.TooLargeError,
    errors.UnprocessableError,
    errors.ExhaustedError,
    errors.NotReadyError,
]


@pytest.mark.parametrize("kind", ALL)
def test_under_v1_a_refusal_has_openais_shape(kind: type[errors.HttpError]) -> None:
    response = error_response("/v1/chat/completions", kind("a cause", "a step", param="field"))
    assert response.status_code == kind.status
    body = json.loads(bytes(response.body))
    assert body == {
        "error": {"message": "a cause; a step", "type": kind.openai_type, "code": kind.default_code, "param": "field"}
    }


@pytest.mark.parametrize("kind", ALL)
def test_elsewhere_it_is_problem_details(kind: type[errors.HttpError]) -> None:
    response = error_response("/api/session", kind("a cause", "a step"))
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(bytes(response.body))
    assert (body["status"], body["detail"], body["hint"]) == (kind.status, "a cause", "a step")
    assert body["type"] == f"urn:sovereign:problem:{kind.default_code}"


def test_a_quota_says_when_to_come_back() -> None:
    response = error_response("/v1/models", errors.ExhaustedError("used up", retry_after=17))
    assert response.headers["retry-after"] == "17"


def test_a_refused_token_names_the_scheme_and_closes_the_connection() -> None:
    response = error_response("/v1/models", errors.UnauthenticatedError("no"))
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["connection"] == "close"
