"""Engine 07, requests and events: what is asked for, what is refused, and what is answered."""

import itertools
import json
from typing import Any

import numpy as np

from tests.answers import ASKED, DEFAULTS, EURO, NO_TEXT, PIECES, PROMPT, TEXTS, answered
from tests.samples import respelled, varied
from tutor.check.expectations import expect_alike, expect_equal
from tutor.check.sandbox.workbench import Workbench

SEED = varied(7, range(8, 60), seed=14)


def complete(
    step: Workbench, case: Any, strips: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is answered, and what has to be, for texts, their ends, and perhaps stop texts."""
    texts, ends, *stop = case
    stops = stop[0] if stop else ()
    stops = stops if isinstance(stops, str) else [*stops]
    fields = ASKED | {"stop": stops, "n": len(texts)}
    got = step.complete(fields, PROMPT, texts, ends, PIECES, strips)
    return got, answered(texts, ends, [stops] if isinstance(stops, str) else stops, strips)


def expect_pieces(step: Workbench, *cases: tuple[Any, ...], strips: bool = False) -> None:
    """Expect the right piece after each token of some texts, and that the rows end as they should.

    A case is what it is, its texts, their ends, and perhaps stop texts.
    """
    found = [complete(step, case[1:], strips) for case in cases]
    seen = [
        [
            [turn, number, chunk and [chunk["choices"][0][key] for key in KEYS]]
            for turn, number, chunk in got["chunks"]
        ]
        for got, _ in found
    ]
    for (what, *_), (got, expected), chunks in zip(cases, found, seen, strict=True):
        for came, wanted in itertools.zip_longest(chunks, expected["chunks"]):
            turn, number = (wanted or came)[:2]
            said = f"index, text and end of the chunk for token {turn} of row {number} of {what}"
            expect_equal(said, came and came[2], wanted and wanted[2], observed=seen)
        expect_equal(f"how the rows of {what} end", got["ended"], expected["ended"], observed=seen)


KEYS = "index", "text", "finish_reason"


def expect_refused(
    step: Workbench, what: str, body: str, param: str | None, encoding: str = "utf-8"
) -> None:
    got = step.parse_request(body, "tales", encoding)
    told = {key: got.get(key) for key in ("status", "type", "param", "code")}
    wanted = {"status": 400, "type": "invalid_request_error", "param": param, "code": None}
    expect_equal(f"status, type, param and code for {what}", told, wanted)
    expect_equal(f"whether there is a message for {what}", bool(got["message"]), True)


def test_error(step: Workbench) -> None:
    kinds = {400: "invalid_request_error", 404: "invalid_request_error"}
    kinds |= {499: "invalid_request_error", 500: "server_error", 503: "server_error"}
    given = [respelled("not so")], ["too long", "prompt"], ["no such", "model", "unknown"]
    cases: list[Any] = [(status, *each) for status in kinds for each in given]
    bodies = [step.api_error(*case) for case in cases]
    for (status, *each), body in zip(cases, bodies, strict=True):
        message, param, code = [*each, None, None][:3]
        entries = {"message": message, "type": kinds[status], "param": param, "code": code}
        what = f"the body of ApiError{(status, *each)}"
        expect_equal(what, body, {"error": entries}, observed=bodies)
    got = step.api_error(400, "m", code="c", param="p")["error"]
    expect_equal("param and code by name", [got["param"], got["code"]], ["p", "c"])


def test_request(step: Workbench) -> None:
    got = step.parse_request(json.dumps(ASKED), "tales")
    expect_equal("a request with model and prompt alone", got, {"fields": DEFAULTS})
    others = {
        "max_tokens": 1,
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 1,
        "n": 16,
        "seed": 0,
        "stop": ["a", "b"],
        "stream": True,
        "prompt": "The \u20ac",
    }
    got = step.parse_request(json.dumps(ASKED | others), "tales")
    expect_equal("a request with all fields", got, {"fields": ASKED | others})
    for name, value in (
        ("stop", "."), ("temperature", 0.0), ("temperature", 2.0), ("top_p", 1.0), ("prompt", ""),
        ("top_k", None), ("seed", None), ("n", 1), ("max_tokens", 5000), ("seed", 2**40),
    ):  # fmt: skip
        got = step.parse_request(json.dumps(ASKED | {name: value}), "tales")
        fields = got.get("fields", {})
        expect_equal(f"{name} of a request with {value!r}", fields.get(name), value, observed=got)


def test_refused(step: Workbench) -> None:
    expect_refused(step, "n = -1", json.dumps(ASKED | {"n": -1}), "n")
    for what, body, param in (
        ("no prompt", '{"model": "tales"}', "prompt"),
        ("no model", '{"prompt": "x"}', "model"),
        ("no JSON", "{bad", None),
        ("an empty body", "", None),
        ("a list", "[1]", None),
    ):
        expect_refused(step, what, body, param)
    body = '{"model": "tales", "\xe9": 1}'
    expect_refused(step, "bytes that are no UTF-8", body, None, "latin-1")
    for name, value in (
        *(("n", 0), ("n", 17), ("n", 1.5), ("n", None), ("max_tokens", 0), ("max_tokens", "5")),
        *(("temperature", -0.1), ("temperature", 2.1), ("top_p", 0), ("top_p", 1.01)),
        *(("top_k", 0), ("seed", -1), ("seed", 0.5), ("stop", 3), ("stop", ["a", 1])),
        *(("stop", None), ("stream", "yes"), ("prompt", 5), ("best_of", 2), ("temprature", 1)),
    ):
        body = json.dumps(ASKED | {name: value})
        expect_refused(step, f"{name} = {value!r}", body, name)
    got = step.parse_request(json.dumps(ASKED), "poems")
    told = [got.get(key) for key in ("status", "param", "code")]
    wanted = [404, "model", "model_not_found"]
    expect_equal("status, param and code for another model", told, wanted, observed=got)
    for name in ("tales", "poems"):
        expect_equal(f"whether {name} is in the message", name in got["message"], True)


def test_rows(step: Workbench) -> None:
    settings = {"temperature": 0.5, "top_k": 3, "top_p": 0.75}
    for count, ends, more in ((1, [], {}), (3, [0], settings), (2, [5, 6], {"temperature": 0})):
        fields = ASKED | {"seed": SEED, "n": count, "max_tokens": 9, **more}
        got = step.make_rows(fields, [4, 8, 2], ends)
        drawn = [np.random.default_rng(SEED + number).integers(2**40) for number in range(count)]
        full = {"temperature": 1.0, "top_k": None, "top_p": 1.0, **more}
        wanted = {
            "prompt": [4, 8, 2],
            "max_new_tokens": 9,
            "sampling": [full[name] for name in ("temperature", "top_k", "top_p")],
            "ends": ends,
            "new": [],
        }
        rows = [{**wanted, "draws": int(draws)} for draws in drawn]
        plain = [sorted(row.items()) for row in rows]
        found = [sorted(row.items()) for row in got]
        expect_equal(f"{count} rows with {more}", found, plain, observed=got)
    runs = [step.make_rows(ASKED | {"n": 2}, [1], []) for _ in range(3)]
    draws = {row["draws"] for run in runs for row in run}
    expect_equal("how many different texts six rows without a seed draw", len(draws), 6)
    runs = [step.make_rows(ASKED | {"seed": 0}, [1], []) for _ in range(2)]
    expect_alike("the rows of seed 0", runs[0], runs[1])


def test_pieces(step: Workbench) -> None:
    expect_pieces(step, *TEXTS)
    expect_pieces(
        step, *((f"{what}, first space lost", *more) for what, *more in TEXTS), strips=True
    )


def test_stops(step: Workbench) -> None:
    text = [0, 2, 3, 7, 0, 1, 9, 8, 6]  # " the wood. the wolf ends\nna\u00efve"
    stops: list[Any] = respelled([
        *("wolf", (".",), (" wood",), ("od.",), ("the wolf", "wood"), ("wolf", " wo"), ("d. t",)),
        *((" ends\nna big",), ("nothing",), ("e wo", "lf"), (" the",), ("\n", "lf en"), ()),
        *(("ends\n", "wolf ends?"), "the", ("aa", " a"), ("ve", "na"), ("nd", "en", "ds")),
    ])  # fmt: skip
    expect_pieces(
        step,
        *((f"a text with stop={stop}", [text], ["length"], stop) for stop in stops),
        ("two texts with stop='.'", [text, [1, 4, 5, 6]], ["stop", "length"], "."),
        ("a text held back to its end", [[0, 10]], ["stop"], respelled((" ends",))),
        ("a text that goes on otherwise", [[10, 4, 10, 11]], ["length"], respelled((" ends",))),
        ("a stop in parts of characters", [[0, *EURO, 1]], ["length"], "\u20ac"),
        ("a stop like half a character", [[0, *EURO, 1, NO_TEXT, 1]], ["length"], "\ufffd"),
    )


def test_chunks(step: Workbench) -> None:
    got, _ = complete(step, ([[0, 1], [1, 7, 4]], ["length", "stop"]))
    answers = [*(chunk for _, _, chunk in got["chunks"] if chunk), got["whole"]]
    head = {"id": "cmpl-0", "object": "text_completion", "created": "int, now", "model": "tales"}
    for answer in answers:
        told = {name: answer.get(name) for name in head}
        what = "id by number, object, created and model of an answer"
        expect_equal(what, told, head, observed=answers)
        keys = sorted(answer["choices"][0])
        expect_equal("the entries of a choice", keys, sorted([*KEYS, "logprobs"]), observed=answers)
        expect_equal("the logprobs of a choice", answer["choices"][0]["logprobs"], None)
    expect_equal("the id of another answer, by number", got["other"]["id"], "cmpl-1")
    for data, text in (
        ({"text": "\u20ac", "n": [1, None]}, 'data: {"text":"\u20ac","n":[1,null]}\n\n'),
        ({"text": "a\n\nb"}, 'data: {"text":"a\\n\\nb"}\n\n'),
        (None, "data: [DONE]\n\n"),
    ):
        came = step.encode_event(data)
        prefix, _, body = came.rstrip("\n").partition("data: ")
        plain = [prefix, body if data is None else json.loads(body or "null"), came[-3:]]
        wanted = ["", data or "[DONE]", text[-3:]]
        expect_equal(f"the event of {data}", plain, wanted, observed=came)


def test_whole(step: Workbench) -> None:
    text = [0, 2, 3, 7, 0, 1, 9]
    for what, texts, ends, stop in (
        ("one text", [text], ["length"], ()),
        ("three texts", [text, [*EURO, 6], []], ["stop", "length", "stop"], ()),
        ("texts with stop='the w'", [text, [1, 0, 10]], ["length", "length"], respelled("the w")),
    ):
        got, expected = complete(step, (texts, ends, stop))
        rows = zip(expected["texts"], expected["ended"], strict=True)
        wanted = [[number, *each] for number, each in enumerate(rows)]
        found = [[choice[key] for key in KEYS] for choice in got["whole"]["choices"]]
        expect_equal(f"index, text and end in the whole of {what}", found, wanted, observed=got)
        new = sum(expected["new"])
        counts = {"prompt_tokens": 2, "completion_tokens": new, "total_tokens": 2 + new}
        usage = [got["whole"].get("usage"), got["usage"]]
        expect_equal(f"the usage of {what}, in the whole and alone", usage, [counts, counts])
