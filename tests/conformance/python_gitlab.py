#!/usr/bin/env python3
"""Holds the sandbox's GitLab against python-gitlab, a client that was written for the real one.

It lists, creates and deletes applications, creates, edits, blocks and deletes users, pages through projects by keyset
and by number, manages members of groups and projects, and asks by GraphQL where python-gitlab can. Whatever it makes
has a random name and is taken away again.

Environment: SETPOINT_SANDBOX_URL (where GitLab is served) and SETPOINT_SANDBOX_TOKEN (an administrator's token; the
sandbox's own if not given). Exits 0 if all holds; otherwise 1, after a line for each check that did not.
"""

import contextlib
import os
import secrets
import sys
import warnings

import gitlab
from gitlab.exceptions import GitlabAuthenticationError, GitlabCreateError, GitlabGetError, GitlabHttpError

REDIRECT = "https://app.example.com/api/integrations/redirect/gitlab-sh"
SCOPES = ["api", "read_user", "read_repository"]
CHECKS = []


class Failed(Exception):
    """A check does not hold."""


def check(function):
    """Registers a check under its first line of documentation."""
    CHECKS.append(function)
    return function


def equal(actual, expected, what):
    if actual != expected:
        raise Failed(f"{what}: expected {expected!r}, got {actual!r}")


def holds(condition, what):
    if not condition:
        raise Failed(what)


@contextlib.contextmanager
def refused(kind, code, what, text=None):
    """The block must end in that error with that status, and that text in its message."""
    try:
        yield
    except kind as error:
        equal(error.response_code, code, f"{what}: status")
        if text is not None:
            holds(text in str(error.error_message), f"{what}: {text!r} is not in {error.error_message!r}")
    else:
        raise Failed(f"{what}: it was taken")


def unique(word):
    return f"conformance-{word}-{secrets.token_hex(4)}"


def new_user(gl):
    username = unique("user")
    return gl.users.create({
        "username": username,
        "name": "Zoë Conformance",
        "email": f"{username}@example.com",
        "password": secrets.token_urlsafe(16),
        "skip_confirmation": True,
    })


@check
def who_am_i(gl):
    """the token is an administrator's, and the instance says its version"""
    gl.auth()
    holds(gl.user.is_admin, "the token's user is no administrator")
    version, revision = gl.version()
    holds(version[0].isdigit() and revision != "unknown", f"no version: {version!r}")
    holds("enterprise" in gl.http_get("/metadata"), "the metadata does not tell the edition")
    holds("api" in gl.personal_access_tokens.get("self").scopes, "the token does not tell its scopes")
    holds(gl.settings.get().minimum_password_length >= 1, "the settings are not read")


@check
def a_wrong_token(gl):
    """a wrong token is a 401"""
    wrong = gitlab.Gitlab(gl.url, private_token="glpat-obviously-wrong", keep_base_url=True)
    with refused(GitlabAuthenticationError, 401, "a wrong token"):
        wrong.auth()


@check
def applications(gl):
    """applications are created, listed and deleted; trusted is never shown"""
    name = unique("application")
    made = gl.applications.create({
        "name": name, "redirect_uri": REDIRECT, "scopes": " ".join(SCOPES), "confidential": True, "trusted": True,
    })
    try:
        holds(isinstance(made.id, int), "the id is no number")
        holds(len(made.application_id) >= 32 and made.secret, "no application id or no secret")
        equal((made.application_name, made.callback_url, made.confidential), (name, REDIRECT, True), "what was made")
        holds("trusted" not in made.attributes, "trusted is shown")
        listed = [one for one in gl.applications.list(get_all=True) if one.id == made.id]
        equal(len(listed), 1, "times that it is listed")
        equal(listed[0].application_id, made.application_id, "application id in the list")
        holds("secret" not in listed[0].attributes, "the list shows the secret")
        twin = gl.applications.create({"name": name, "redirect_uri": REDIRECT, "scopes": "api"})
        holds(twin.application_id != made.application_id, "two applications share an id")
        twin.delete()
    finally:
        made.delete()
    holds(all(one.id != made.id for one in gl.applications.list(get_all=True)), "it is listed after its deletion")
    with refused(gitlab.GitlabDeleteError, 404, "a second deletion"):
        gl.applications.delete(made.id)


@check
def wrong_applications(gl):
    """wrong applications are refused with both shapes of errors"""
    good = {"name": unique("wrong"), "redirect_uri": REDIRECT, "scopes": "api"}
    cases = [
        ({"scopes": ""}, "scopes is empty"),
        ({"scopes": "api no_such_scope"}, "doesn't match configured on the server."),
        ({"redirect_uri": "javascript:alert()"}, "is forbidden by the server."),
    ]
    for change, text in cases:
        with refused(GitlabCreateError, 400, f"an application with {change}", text):
            gl.applications.create({**good, **change})


@check
def users(gl):
    """users are created, found, edited, blocked, unblocked and deleted"""
    user = new_user(gl)
    try:
        equal(user.state, "active", "state of a new user")
        found = gl.users.list(username=user.username.upper(), get_all=True)
        equal([one.id for one in found], [user.id], "found by username, whatever its case")
        equal([one.id for one in gl.users.list(search=user.email, get_all=True)], [user.id], "found by address")
        user.name = "Zoë Dvořák"
        user.email = f"{unique('mail')}@example.com"
        user.skip_reconfirmation = True
        address = user.email
        user.save()
        again = gl.users.get(user.id)
        equal((again.name, again.email), ("Zoë Dvořák", address), "name and address after the change")
        holds(again.confirmed_at is not None, "the address is not confirmed")
        again.block()
        equal(gl.users.get(user.id).state, "blocked", "state when blocked")
        again.unblock()
        again.deactivate()
        equal(gl.users.get(user.id).state, "deactivated", "state when deactivated")
        again.activate()
        equal(gl.users.get(user.id).state, "active", "state when activated")
    finally:
        gl.users.delete(user.id)
    with refused(GitlabGetError, 404, "a deleted user", "404 User Not Found"):
        gl.users.get(user.id)


@check
def wrong_users(gl):
    """wrong users are refused"""
    user = new_user(gl)
    try:
        good = {
            "username": unique("other"), "name": "Other", "email": f"{unique('other')}@example.com",
            "password": secrets.token_urlsafe(16),
        }
        cases = [
            ({"username": user.username}, 409, "Username has already been taken"),
            ({"email": user.email}, 409, "Email has already been taken"),
            ({"password": "short"}, 400, "is too short"),
            (
                {"username": gl.groups.list(top_level_only=True, per_page=1, get_all=False)[0].path},
                400, "A user, alias, or group already exists with that username",
            ),
        ]
        for change, code, text in cases:
            with refused(GitlabCreateError, code, f"a user with {sorted(change)}", text):
                gl.users.create({**good, **change})
    finally:
        user.delete()


@check
def projects_by_keyset(gl):
    """projects are paged through by keyset, each once, in order, and as many as by number"""
    by_keyset = list(gl.projects.list(
        iterator=True, pagination="keyset", order_by="id", sort="asc", per_page=7, simple=True,
    ))
    ids = [project.id for project in by_keyset]
    equal(ids, sorted(set(ids)), "ids by keyset")
    by_number = [project.id for project in gl.projects.list(get_all=True, order_by="id", sort="asc", per_page=7)]
    equal(ids, by_number, "ids by keyset and by number")
    page = gl.http_request("get", "/projects", query_data={"per_page": 3, "page": 2, "order_by": "id", "sort": "asc"})
    headers = [page.headers[f"X-{name}"] for name in ("Page", "Prev-Page", "Next-Page", "Per-Page", "Total")]
    equal(headers, ["2", "1", "3", "3", str(len(ids))], "headers of a page by number")
    equal([project["id"] for project in page.json()], ids[3:6], "the second page")
    holds("archived" not in by_keyset[0].attributes, "simple projects show too much")
    with refused((GitlabHttpError, gitlab.GitlabListError), 405, "keyset by name"):
        gl.projects.list(pagination="keyset", order_by="name", get_all=False)


@check
def one_project(gl):
    """a project is found by id and by path, with slashes; one that is not there is a 404"""
    some = gl.projects.list(per_page=1, order_by="id", sort="asc", get_all=False)[0]
    equal(gl.projects.get(some.path_with_namespace).id, some.id, "the project at a path")
    holds(isinstance(gl.projects.get(some.id).archived, bool), "a project does not tell whether it is archived")
    with refused(GitlabGetError, 404, "a project that is not there", "404 Project Not Found"):
        gl.projects.get("no/such")


@check
def groups(gl):
    """groups are found by path, with the projects below"""
    top = gl.groups.list(top_level_only=True, get_all=True)
    holds(top, "there are no groups")
    group = gl.groups.get(top[0].full_path)
    equal(group.id, top[0].id, "the group at a path")
    direct = group.projects.list(get_all=True)
    deep = group.projects.list(get_all=True, include_subgroups=True)
    holds({one.id for one in direct} <= {one.id for one in deep}, "subgroups hide projects")
    prefix = f"{group.full_path}/"
    holds(all(one.path_with_namespace.startswith(prefix) for one in deep), "a project from elsewhere is listed")


@check
def members(gl):
    """members are added, changed, listed with the inherited ones, and removed"""
    user = new_user(gl)
    try:
        project = next(
            one for one in gl.projects.list(iterator=True, archived=False) if one.namespace["kind"] == "group"
        )
        group = gl.groups.get(project.namespace["id"])
        member = group.members.create({"user_id": user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
        equal((member.username, member.access_level), (user.username, 30), "the new member")
        with refused(GitlabCreateError, 409, "a member twice", "Member already exists"):
            group.members.create({"user_id": user.id, "access_level": 30})
        with refused(GitlabCreateError, 404, "a member that does not exist", "404 User Not Found"):
            group.members.create({"user_id": 2**31 - 1, "access_level": 30})
        with refused(GitlabCreateError, 400, "a role that is lower than the inherited one"):
            project.members.create({"user_id": user.id, "access_level": 10})
        with refused(GitlabGetError, 404, "an inherited member among the direct ones"):
            project.members.get(user.id)
        equal(project.members_all.get(user.id).access_level, 30, "the inherited role")
        kept = [one.id for one in project.members_all.list(get_all=True)]
        holds(user.id in kept and len(kept) == len(set(kept)), "the inherited members are not listed once each")
        member.access_level = gitlab.const.AccessLevel.MAINTAINER
        member.save()
        equal(group.members.get(user.id).access_level, 40, "the changed role")
        listed = [(one.source_type, one.source_id) for one in user.memberships.list(get_all=True)]
        equal(listed, [("Namespace", group.id)], "memberships of the user")
        member.delete()
        with refused(GitlabGetError, 404, "a removed member"):
            group.members.get(user.id)
    finally:
        user.delete(hard_delete=True)


@check
def on_behalf(gl):
    """sudo and impersonation tokens see what the user sees"""
    user = new_user(gl)
    try:
        seen = gl.http_get("/user", sudo=user.username)
        equal(seen["id"], user.id, "who sudo is")
        token = user.impersonationtokens.create({"name": "conformance", "scopes": ["read_api"]})
        as_user = gitlab.Gitlab(gl.url, private_token=token.token, keep_base_url=True)
        as_user.auth()
        equal(as_user.user.username, user.username, "whose the token is")
        equal(as_user.projects.list(membership=True, get_all=True), [], "projects of a member of nothing")
        private = gl.projects.list(visibility="private", per_page=1, get_all=False)[0]
        with refused(GitlabGetError, 404, "a private project"):
            as_user.projects.get(private.id)
        with refused(GitlabHttpError, 403, "a write with a token that may only read"):
            as_user.http_post("/applications", post_data={"name": "x", "redirect_uri": REDIRECT, "scopes": "api"})
    finally:
        user.delete(hard_delete=True)


@check
def by_graphql(gl):
    """GraphQL answers by alias, and leaves out what is not there"""
    token = gl.private_token
    some = gl.projects.list(per_page=2, get_all=False)
    paths = [project.path_with_namespace for project in some] + ["no/such"]
    answer = gl.http_post(
        f"{gl.url}/api/graphql",
        post_data={
            "query": "query($p: [String!]) { me: currentUser { username } projects(fullPaths: $p) { nodes { id fullPath } } }",
            "variables": {"p": paths},
        },
    )
    holds(token and "errors" not in answer, f"the query failed: {answer}")
    equal(answer["data"]["me"]["username"], gl.user.username, "the current user")
    found = {node["fullPath"]: node["id"] for node in answer["data"]["projects"]["nodes"]}
    equal(found, {one.path_with_namespace: f"gid://gitlab/Project/{one.id}" for one in some}, "projects by path")


def main():
    url = os.environ.get("SETPOINT_SANDBOX_URL")
    token = os.environ.get("SETPOINT_SANDBOX_TOKEN", "glpat-sandbox-root-token")
    if not url:
        print("SETPOINT_SANDBOX_URL is not set: start `setpoint sandbox` and give its GitLab URL", file=sys.stderr)
        return 1
    # The instance may say that its URL is another one than that asked: stay with the one that was given.
    warnings.filterwarnings("ignore", message=".*keep_base_url.*")
    warnings.filterwarnings("ignore", message=".*base URL in the server response differs.*")
    gl = gitlab.Gitlab(url, private_token=token, keep_base_url=True, retry_transient_errors=False)
    failures = 0
    for one in CHECKS:
        title = (one.__doc__ or one.__name__).strip()
        try:
            one(gl)
        except Failed as failure:
            failures += 1
            print(f"not ok: {title}\n    {failure}")
        except Exception as error:  # noqa: BLE001: any error of the client is a finding, the rest goes on
            failures += 1
            print(f"not ok: {title}\n    {type(error).__name__}: {error}")
        else:
            print(f"ok: {title}")
    print(f"python-gitlab {gitlab.__version__}: {len(CHECKS) - failures} of {len(CHECKS)} checks hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
