#!/usr/bin/env python3
"""Holds recorded exchanges against what GitLab and Factory publish, by programs that nobody here wrote.

Each file in RECORDINGS was written by a sandbox that ran with SETPOINT_SANDBOX_RECORD. openapi-core judges REST:
requests that Setpoint sent, and all answers that the sandbox gave. graphql-core judges GraphQL: each query that Setpoint
sent or can send must be valid over the schema, and what the sandbox refuses must be what graphql-core refuses.

DESCRIPTIONS is a folder with the descriptions of the two APIs, which are not part of this project: GitLab's
(gitlab-openapi-*.yaml, gitlab-graphql.*.graphql) and the contract of the `api` driver (factory-integrations.openapi.yaml).
What is not there is not judged, and a line says so.

Where a description is known to be wrong, exceptions.toml says so, with the reason. Whatever else is found is an error,
and so is an exception that nothing needed.

Usage: judge.py RECORDINGS [DESCRIPTIONS]
"""

import collections
import fnmatch
import json
import pathlib
import re
import sys
import tomllib
import urllib.parse

import graphql
import yaml
from graphql.execution.values import get_variable_values
from jsonschema_path import SchemaPath
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

HERE = pathlib.Path(__file__).parent
SCHEMA = HERE / "../../crates/sandbox/src/gitlab/graphql/schema.graphql"
QUERIES = HERE / "queries.graphql"
OURS = "setpoint/"


def shape(value):
    """The shape of a JSON value: lists are as what they hold, each once."""
    if isinstance(value, dict):
        return tuple((key, shape(inner)) for key, inner in sorted(value.items()))
    if isinstance(value, list):
        return ("[]", *sorted({repr(shape(inner)) for inner in value}))
    return type(value).__name__


def parsed(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def exchanges(folder):
    """All exchanges: of those of one shape, the first."""
    files = sorted(pathlib.Path(folder).glob("*.jsonl"))
    seen, kept, count = set(), [], 0
    for file in files:
        for line in file.open(encoding="utf-8"):
            count += 1
            one = json.loads(line)
            one["ours"] = (one["client"] or "").startswith(OURS)
            names = sorted({name for name, _ in urllib.parse.parse_qsl(one["query"] or "", keep_blank_values=True)})
            about = one["request"] if one["path"] == "/api/graphql" else repr(shape(parsed(one["request"])))
            key = (one["side"], one["method"], re.sub(r"[^/]*\d[^/]*|%2F", "*", one["path"]), tuple(names), about,
                   one["request_type"], one["status"], one["type"], repr(shape(parsed(one["answer"]))), one["ours"])
            if key not in seen:
                seen.add(key)
                kept.append(one)
    return count, kept


class Exceptions:
    """What is known to be wrong in a description, and whether anything needed it."""

    def __init__(self, file):
        known = tomllib.loads(file.read_text(encoding="utf-8"))
        self.amendments = known.get("amendment", [])
        self.exceptions = known.get("exception", [])
        for one in self.amendments + self.exceptions:
            if not one.get("reason"):
                raise SystemExit(f"{file.name}: an entry has no reason: {one}")
            one["used"] = set()

    def excuses(self, finding):
        for one in self.exceptions:
            for pattern in one["findings"]:
                if fnmatch.fnmatchcase(finding, pattern):
                    one["used"].add(pattern)
                    return True
        return False

    def idle(self, api):
        for one in self.amendments + self.exceptions:
            if one["api"] != api:
                continue
            for pattern in one.get("findings", one.get("operations", ["*"])):
                if pattern not in one["used"]:
                    yield f"{one.get('kind', 'exception')} that nothing needed: {pattern}"


class Described:
    """A description of an API, amended, and strict: what it does not declare is a finding."""

    def __init__(self, api, file, exceptions):
        self.api = api
        self.document = yaml.safe_load(file.read_text(encoding="utf-8"))
        self.nulls = False
        self.exceptions = [one for one in exceptions.amendments if one["api"] == api]
        for one in self.exceptions:
            getattr(self, "amend_" + one["kind"])(one)
        self.close(self.document)
        self.openapi = OpenAPI(SchemaPath.from_dict(self.document), config=Config(spec_validator_cls=None))
        self.host = (self.document.get("servers") or [{"url": "http://127.0.0.1"}])[0]["url"]
        self.patterns = [(pattern, re.compile(re.sub(r"\\{[^/]+?\\}", "([^/]+)", re.escape(pattern)) + "$"))
                         for pattern in self.document["paths"]]
        # Literal segments before those in braces, as servers route.
        self.patterns.sort(key=lambda one: one[0].count("{"))

    def operation(self, name):
        method, path = name.split(" ", 1)
        try:
            return self.document["paths"][path][method.lower()]
        except KeyError:
            raise SystemExit(f"exceptions.toml: {name} is not described") from None

    def amend_status(self, one):
        """The server answers another status than is described."""
        for name in one["operations"]:
            responses = self.operation(name)["responses"]
            responses[str(one["is"])] = responses.pop(str(one["described"]))

    def amend_list(self, one):
        """A list is described as one of its objects."""
        for name in one["operations"]:
            content = self.operation(name)["responses"]["200"]["content"]["application/json"]
            content["schema"] = {"type": "array", "items": content["schema"]}

    def amend_json(self, one):
        """A body may be JSON as well."""
        for name in one["operations"]:
            content = self.operation(name)["requestBody"]["content"]
            content["application/json"] = next(iter(content.values()))

    def amend_null(self, _):
        """Any value of an answer may be null."""
        self.nulls = True

    def amend_like(self, one):
        """Some entries are answered in the entity of another operation."""
        for name in one["operations"]:
            content = self.operation(name)["responses"]["200"]["content"]["application/json"]
            other = self.operation(one["like"])["responses"]["200"]["content"]["application/json"]["schema"]
            content["schema"] = other

    def close(self, node):
        """What is not declared is not allowed."""
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict) and "type" in node:
                node.setdefault("additionalProperties", False)
            for inner in node.values():
                self.close(inner)
        elif isinstance(node, list):
            for inner in node:
                self.close(inner)

    def judge(self, one):
        """All findings of an exchange, and the amendments that it needed."""
        path, pattern, view = one["path"], None, {}
        for candidate, expression in self.patterns:
            match = expression.match(path)
            if match:
                names = re.findall(r"{([^/]+?)}", candidate)
                pattern, view = candidate, dict(zip(names, map(urllib.parse.unquote, match.groups())))
                break
        method = one["method"].lower()
        if pattern is None or method not in self.document["paths"][pattern]:
            if one["ours"]:
                yield f"request {one['method']} {re.sub(r'[0-9]+', '0', path)}: is not described"
            return
        name = f"{one['method']} {pattern}"
        operation = self.document["paths"][pattern][method]
        self.note_use(name, operation, one)
        query = urllib.parse.parse_qs(one["query"] or "", keep_blank_values=True)
        request = MockRequest(
            self.host, method, path, path_pattern=pattern, view_args=view,
            args={key: values[-1] if len(values) == 1 else values for key, values in query.items()},
            headers={"Authorization": "Bearer x", "PRIVATE-TOKEN": "x"} if one["authorized"] else {},
            data=(one["request"] or "").encode(), content_type=one["request_type"] or "",
        )
        if one["ours"]:
            declared = {item["name"] for item in operation.get("parameters", []) if item["in"] == "query"}
            for key in query:
                if key.removesuffix("[]") not in {item.removesuffix("[]") for item in declared}:
                    yield f"request {name}: query {key} is not declared"
            if one["request"] and "requestBody" not in operation:
                yield f"request {name}: no body is described"
            for error in self.openapi.iter_request_errors(request):
                yield from (f"request {name}: {text}" for text in told(error))
        answer = one["answer"] or ("<html></html>" if "html" in (one["type"] or "") else "")
        response = MockResponse(answer.encode(), status_code=one["status"], content_type=one["type"] or "")
        for error in self.openapi.iter_response_errors(request, response):
            yield from (f"answer {name} {one['status']}: {text}" for text in told(error, self.nulls))

    def note_use(self, name, operation, one):
        answer = parsed(one["answer"])
        for amendment in self.exceptions:
            kind, operations = amendment["kind"], amendment.get("operations", [])
            if kind == "null":
                used = has_null(answer) and {"*"}
            elif name not in operations:
                used = None
            elif kind == "status":
                used = one["status"] == amendment["is"] and {name}
            elif kind == "list":
                used = isinstance(answer, list) and {name}
            elif kind == "like":
                used = answer is not None and {name}
            else:
                used = one["ours"] and "json" in (one["request_type"] or "") and {name}
            amendment["used"] |= used or set()


def has_null(value):
    if isinstance(value, dict):
        return any(has_null(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_null(inner) for inner in value)
    return value is None


def told(error, nulls=False):
    """An error of openapi-core as one line for each fault in it."""
    cause = error
    while cause is not None:
        faults = getattr(cause, "schema_errors", None)
        if faults:
            for fault in faults:
                if nulls and fault.instance is None:
                    continue
                place = "".join("[]" if isinstance(part, int) else f".{part}" for part in fault.absolute_path)
                if fault.validator == "additionalProperties":
                    allowed = fault.schema.get("properties", {})
                    for key in sorted(set(fault.instance) - set(allowed)):
                        yield f"body{place}.{key} is not declared"
                elif fault.validator == "type":
                    yield f"body{place} is {type(fault.instance).__name__}, not {fault.validator_value}"
                elif fault.validator == "required":
                    missing = sorted(set(fault.validator_value) - set(fault.instance))
                    yield f"body{place} lacks {', '.join(missing)}"
                else:
                    yield f"body{place}: {fault.validator}: {str(fault.message)[:120]}"
            return
        cause = cause.__cause__
    cause = error.__cause__ or error
    if type(cause).__name__ == "ResponseNotFound":
        yield "the status is not described"
        return
    yield re.sub(r"\s+", " ", f"{type(cause).__name__}: {cause}")[:160]


def judge_rest(api, file, recorded, exceptions):
    described = Described(api, file, exceptions)
    findings, operations = collections.Counter(), set()
    for one in recorded:
        for finding in described.judge(one):
            findings[finding] += 1
        operations.add((one["method"], one["path"]))
    bad = [f"{finding} ({count})" for finding, count in sorted(findings.items()) if not exceptions.excuses(finding)]
    bad += list(exceptions.idle(api))
    return bad


class WithoutGroups(graphql.Visitor):
    """Leaves out the groups after the first."""

    def enter(self, node, *_):
        name = None
        if isinstance(node, graphql.VariableDefinitionNode):
            name = node.variable.name.value
        elif isinstance(node, graphql.FieldNode) and node.alias:
            name = node.alias.value
        return graphql.REMOVE if name and re.fullmatch(r"g[1-9]\d*", name) else None


def canonical(document):
    """A query with one group for however many: nothing else in it varies freely."""
    return graphql.print_ast(graphql.visit(document, WithoutGroups()))


def judge_graphql(recorded, described):
    """Each query that Setpoint sends or can send is valid, and the sandbox refuses what graphql-core refuses."""
    bad = []
    schema = graphql.build_schema(SCHEMA.read_text(encoding="utf-8"))
    if described:
        ours, theirs = (graphql.print_schema(graphql.lexicographic_sort_schema(one))
                        for one in (schema, graphql.build_schema(described.read_text(encoding="utf-8"))))
        if ours != theirs:
            bad.append(f"{SCHEMA.name} is not what {described.name} declares")
    listed = [graphql.parse(text) for text in QUERIES.read_text(encoding="utf-8").split("\n\n") if text.strip()]
    for query in listed:
        bad += [f"{QUERIES.name}: {error.message}" for error in graphql.validate(schema, query)]
    known, sent = {canonical(query) for query in listed}, set()
    for one in recorded:
        asked = parsed(one["request"])
        answer = parsed(one["answer"])
        if not isinstance(asked, dict) or one["status"] != 200 or not isinstance(answer, dict):
            continue
        text, variables = asked.get("query") or "", asked.get("variables") or {}
        errors = faults(schema, text, variables, asked.get("operationName"))
        refused = "data" not in answer
        if one["ours"]:
            bad += [f"Setpoint sends a query that is refused: {error}" for error in errors]
            query = canonical(graphql.parse(text))
            sent.add(query)
            if query not in known:
                bad.append(f"Setpoint sends a query that is not in {QUERIES.name}: {text[:200]}")
        if bool(errors) != refused and "complexity" not in str(answer):
            bad.append(f"graphql-core says {errors or 'nothing'} and the sandbox {answer.get('errors', 'nothing')}: {text[:200]}")
    print(f"GraphQL: {len(listed)} queries that Setpoint can send, {len(sent)} of them recorded, {len(bad)} findings")
    return bad


def faults(schema, text, variables, operation):
    try:
        document = graphql.parse(text)
    except graphql.GraphQLSyntaxError as error:
        return [error.message]
    found = [error.message for error in graphql.validate(schema, document)]
    if found:
        return found
    chosen = graphql.get_operation_ast(document, operation)
    if chosen is None:
        return ["no operation is chosen"]
    values = get_variable_values(schema, chosen.variable_definitions or (), variables)
    return [error.message for error in values] if isinstance(values, list) else []


def main():
    recordings = sys.argv[1]
    descriptions = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    count, kept = exchanges(recordings)
    print(f"{count} exchanges recorded, {len(kept)} of a shape of their own")
    exceptions = Exceptions(HERE / "exceptions.toml")
    bad = []
    for api, glob, paths in [
        ("gitlab", "gitlab-openapi-*.yaml", ("/api/v4/",)),
        ("factory", "factory-integrations.openapi.yaml", ("/api/v0/", "/api/integrations/redirect/gitlab-sh/callback")),
    ]:
        files = sorted(descriptions.glob(glob)) if descriptions else []
        if not files:
            print(f"skipped: {glob} is not there, REST of {api} is not judged")
            continue
        recorded = [one for one in kept if one["side"] == api and one["path"].startswith(paths)]
        found = judge_rest(api, files[-1], recorded, exceptions)
        print(f"{files[-1].name}: {len(recorded)} exchanges, {len(found)} findings")
        bad += found
    described = sorted(descriptions.glob("gitlab-graphql.*.graphql")) if descriptions else []
    bad += judge_graphql([one for one in kept if one["path"] == "/api/graphql"], described[-1] if described else None)
    for line in bad:
        print(f"  {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
