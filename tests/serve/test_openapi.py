import json

from fairlead.serve import openapi
from fairlead.serve.routes import ROUTES


def test_every_path_is_in_the_document_and_every_reference_leads_somewhere(serving):
    server = serving()
    document = server.http.get("/openapi.json").json()

    assert list(document["paths"]) == [route.path for route in ROUTES]
    schemas = document["components"]["schemas"]
    refs = _refs(document)
    assert {ref.removeprefix("#/components/schemas/") for ref in refs} <= set(schemas)
    assert {"Ask", "Answer", "Told", "Opinion", "Refusal"} <= set(schemas)
    assert schemas["Ask"]["additionalProperties"] is False
    assert openapi.document() is openapi.document()


def test_every_answer_has_a_status_that_the_document_names(serving):
    server = serving()
    document = server.http.get("/openapi.json").json()

    for route in ROUTES:
        for content in (b"{}", b"[", b'{"messages": [{}]}', b'{"endpoint": "a"}'):
            if route.name == "stream":
                continue
            answer = server.http.request(
                route.method,
                route.path,
                headers={"content-type": "application/json"},
                content=content if route.method == "POST" else None,
            )
            told = document["paths"][route.path][route.method.lower()]["responses"]
            assert str(answer.status_code) in told, (route.path, answer.status_code)
            kind = next(iter(told[str(answer.status_code)]["content"]))
            assert answer.headers["content-type"] == kind


def _refs(value):
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_refs(one) for one in value.values()))
    return set().union(*(_refs(one) for one in value)) if isinstance(value, list) else set()


def test_the_document_is_json():
    assert json.loads(openapi.document())["openapi"] == "3.1.0"
