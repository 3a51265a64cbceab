"""`/openapi.json` says what the service does: no more, no less."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from starlette.routing import Route

from gateway import metadefs
from gateway.api.contract import contract_of
from gateway.api.front import Front
from gateway.api.image_schema import ImageRules
from gateway.api.listing import NAMES
from gateway.api.parameters import PARAMETERS
from gateway.api.routes import routes
from gateway.api.shapes import shapes
from gateway.api.verbs import Resource
from tests.isolation.cloud import Cloud, cloud
from tests.isolation.rules import User

Json = dict[str, Any]
VERBS = {"get", "head", "put", "post", "patch", "delete", "options"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("document")) as served:
        yield served


@pytest.fixture(scope="module")
def document(running: Cloud) -> Json:
    """As a stranger gets it."""
    url = running.clients[User("red", "member")].base_url
    found: Json = httpx.get(f"{url}/openapi.json", trust_env=False).raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Callable[..., Any]]]:
    """Path -> verb -> action, of the whole route table."""
    front = Front(site=None, identity=None, store_descriptions={})  # type: ignore[arg-type]
    listed = [*routes(front, ImageRules(), metadefs.routes(front), metadefs.SHAPES)]
    assert all(isinstance(route, Route) and isinstance(route.endpoint, Resource) for route in listed)
    return {route.path_format: route.endpoint.actions for route in listed}  # type: ignore[attr-defined]


def test_it_is_valid(document: Json) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_route_is_in_it_and_nothing_else(document: Json, table: dict[str, Json]) -> None:
    written = {path: VERBS & set(item) for path, item in document["paths"].items()}
    assert written == {path: set(actions) for path, actions in table.items()}


def test_the_service_answers_exactly_the_written_verbs(running: Cloud, document: Json) -> None:
    client = running.clients[User("red", "member")]
    for path, item in document["paths"].items():
        allowed = client.options(path.replace("{", "").replace("}", "")).headers["allow"]
        assert {verb.lower() for verb in allowed.split(", ")} == VERBS & set(item), path


def test_every_action_has_a_contract_and_says_what_it_does(table: dict[str, Json]) -> None:
    actions = [action for verbs in table.values() for action in verbs.values()]
    assert [action.__qualname__ for action in actions if not contract_of(action) or not inspect.getdoc(action)] == []


def test_contracts_name_only_shapes_and_parameters_there_are(table: dict[str, Json]) -> None:
    known = {**shapes(ImageRules()), **metadefs.SHAPES}
    for action in (action for verbs in table.values() for action in verbs.values()):
        said = contract_of(action)
        assert said is not None
        names = {name for name in (*said.answers.values(), *said.takes.values()) if name and "/" not in name}
        assert names <= set(known), action.__qualname__
        assert set(said.parameters) <= set(PARAMETERS), action.__qualname__


def test_the_list_of_images_is_described_whole() -> None:
    assert {parameter["name"] for parameter in PARAMETERS["images"]} == NAMES


def test_every_refusal_has_the_shape_of_errors(document: Json) -> None:
    refused = {"$ref": "#/components/responses/error"}
    for path, item in document["paths"].items():
        for verb in VERBS & set(item):
            refusals = {status: answer for status, answer in item[verb]["responses"].items() if int(status) >= 400}
            assert refusals
            assert all(answer == refused for answer in refusals.values()), (path, verb)
