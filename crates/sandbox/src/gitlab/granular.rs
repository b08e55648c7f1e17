//! Fine-grained tokens: a request is let through by the permission that its endpoint declares, not by a scope.
//!
//! GitLab: the `authorization` setting of each route in lib/api/, and its refusal, which names what lacks. What no
//! permission is declared for, no fine-grained token can do.

use axum::http::Method;
use axum::response::Response;
use serde_json::json;

use super::answers;

/// Method, path with `*` for one segment, and permission (GitLab: `doc/auth/tokens/fine_grained_access_tokens_rest.md` of
/// 19.2, which its routes make). The first that fits counts.
const DECLARED: [(&str, &str, &str); 42] = [
    ("GET", "metadata", "read_metadata"),
    ("GET", "version", "read_metadata"),
    ("GET", "application/settings", "read_application_setting"),
    ("GET", "applications", "read_oauth_application"),
    ("POST", "applications", "create_oauth_application"),
    ("DELETE", "applications/*", "delete_oauth_application"),
    ("POST", "applications/*/renew-secret", "renew_secret_oauth_application"),
    ("GET", "user", "read_user"),
    ("GET", "users", "read_user"),
    ("POST", "users", "create_user"),
    ("GET", "users/*", "read_user"),
    ("PUT", "users/*", "update_user"),
    ("DELETE", "users/*", "delete_user"),
    ("GET", "users/*/emails", "read_email"),
    ("GET", "users/*/memberships", "read_user"),
    ("GET", "users/*/associations_count", "read_association"),
    ("POST", "users/*/activate", "activate_user"),
    ("POST", "users/*/approve", "approve_user"),
    ("POST", "users/*/block", "block_user"),
    ("POST", "users/*/deactivate", "deactivate_user"),
    ("POST", "users/*/unban", "unban_user"),
    ("POST", "users/*/unblock", "unblock_user"),
    ("PATCH", "users/*/disable_two_factor", "disable_two_factor_user"),
    ("GET", "personal_access_tokens/self", "read_personal_access_token"),
    ("GET", "namespaces/*", "read_namespace"),
    ("GET", "namespaces/*/exists", "read_namespace"),
    ("GET", "groups", "read_group"),
    ("GET", "groups/*", "read_group"),
    ("GET", "groups/*/projects", "read_project"),
    ("GET", "groups/*/subgroups", "read_group"),
    ("GET", "groups/*/descendant_groups", "read_group"),
    ("GET", "projects", "read_project"),
    ("GET", "projects/*", "read_project"),
    ("GET", "*/*/members", "read_member"),
    ("GET", "*/*/members/*", "read_member"),
    ("GET", "*/*/members/all", "read_member"),
    ("GET", "*/*/members/all/*", "read_member"),
    ("POST", "*/*/members", "create_member"),
    ("PUT", "*/*/members/*", "update_member"),
    ("DELETE", "*/*/members/*", "delete_member"),
    ("GET", "users/*/impersonation_tokens", "read_impersonation_token"),
    ("POST", "users/*/impersonation_tokens", "create_impersonation_token"),
];

/// The permission that a request needs; `None`: there is none, and no fine-grained token will do.
fn needed(method: &Method, path: &str) -> Option<&'static str> {
    if path == "/api/graphql" {
        // Each type has a permission of its own there; what is asked for here is projects and groups.
        return Some("read_project");
    }
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let path: Vec<&str> = path
        .strip_prefix("/api/v4/")?
        .trim_end_matches('/')
        .split('/')
        .collect();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        pattern.len() == path.len()
            && pattern
                .iter()
                .zip(&path)
                .all(|(wanted, part)| *wanted == "*" || wanted == part)
    };
    DECLARED
        .iter()
        .find(|(verb, pattern, _)| method == *verb && fits(pattern))
        .map(|(_, _, permission)| *permission)
}

/// Refuses a token that lacks the permission of a request.
pub(crate) fn require(
    granted: &std::collections::BTreeSet<String>,
    method: &Method,
    path: &str,
) -> Result<(), Response> {
    let Some(permission) = needed(method, path) else {
        return Err(refusal(
            "Access denied: Fine-grained personal access tokens are not yet supported for this operation.",
        ));
    };
    if granted.contains(permission) {
        return Ok(());
    }
    Err(refusal(&format!(
        "Access denied: This operation requires a fine-grained personal access token with the following {} permissions: [{}].",
        boundary(permission),
        words(permission)
    )))
}

fn refusal(description: &str) -> Response {
    answers::json_answer(
        403,
        &json!({ "error": "insufficient_granular_scope", "error_description": description }),
    )
}

fn boundary(permission: &str) -> &'static str {
    match permission {
        "read_namespace" | "read_personal_access_token" | "read_association" => "user",
        "read_group" => "group",
        "read_project" | "read_member" | "create_member" | "update_member" | "delete_member" => "project",
        _ => "instance",
    }
}

/// `renew_secret_oauth_application` is `OAuth Application: Renew Secret`.
fn words(permission: &str) -> String {
    let cut = permission.strip_prefix("renew_secret_").map_or_else(
        || permission.split_once('_').unwrap_or((permission, "")),
        |resource| ("renew_secret", resource),
    );
    let title = |text: &str| {
        let words = text.split('_').map(|word| match word {
            "oauth" => "OAuth".to_owned(),
            _ => word[..1].to_uppercase() + &word[1..],
        });
        words.collect::<Vec<_>>().join(" ")
    };
    format!("{}: {}", title(cut.1), title(cut.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_the_permission_of_its_endpoint() {
        for (method, path, permission) in [
            (Method::GET, "/api/v4/applications", Some("read_oauth_application")),
            (
                Method::POST,
                "/api/v4/applications/7/renew-secret",
                Some("renew_secret_oauth_application"),
            ),
            (Method::HEAD, "/api/v4/users/7", Some("read_user")),
            (Method::POST, "/api/v4/groups/a%2Fb/members", Some("create_member")),
            (Method::GET, "/api/v4/projects/7/members/all/9", Some("read_member")),
            (Method::PUT, "/api/v4/application/settings", None),
        ] {
            assert_eq!(needed(&method, path), permission, "{method} {path}");
        }
        assert_eq!(words("read_oauth_application"), "OAuth Application: Read");
        assert_eq!(
            words("renew_secret_oauth_application"),
            "OAuth Application: Renew Secret"
        );
        assert_eq!(words("create_member"), "Member: Create");
    }
}
