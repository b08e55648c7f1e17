//! What a token has to be allowed, by scope or by the permissions of a fine-grained one.

use std::collections::BTreeSet;

use super::Check;
use crate::gitlab::{GranularScope, OwnToken};

const ID: &str = "gitlab.token_scopes";

/// The least set of a fine-grained token with which all of Setpoint works, by boundary as GitLab's page names it.
const LEAST: [(&str, &[&str], &[&str]); 3] = [
    (
        "instance",
        &["instance"],
        &[
            "read_oauth_application",
            "create_oauth_application",
            "delete_oauth_application",
            "renew_secret_oauth_application",
            "read_metadata",
            "read_application_setting",
            "read_user",
            "read_email",
            "create_user",
            "update_user",
            "activate_user",
            "unblock_user",
            "approve_user",
        ],
    ),
    (
        "user",
        &["user"],
        &["read_namespace", "read_personal_access_token", "read_user"],
    ),
    (
        "groups and projects",
        &["all_memberships", "selected_memberships"],
        &[
            "read_group",
            "read_project",
            "read_member",
            "create_member",
            "update_member",
            "delete_member",
        ],
    ),
];

/// What replacing an authenticator whose key is lost needs besides, of the instance.
const OF_SECOND_FACTOR: &str = "disable_two_factor_user";

/// Whether the token may do what apply does, with `user.totp` or without.
pub(super) fn check(token: &OwnToken, second_factor: bool) -> Check {
    if token.granular || token.scopes.contains("granular") {
        return fine_grained(token.granular_scopes.as_deref(), second_factor);
    }
    let has: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    if token.scopes.contains("api") {
        return Check::ok(ID, format!("The token has the scopes {}", has.join(", ")));
    }
    let make = "make a token with the scope api, and admin_mode where Admin Mode is on (User settings > Access tokens)";
    if token.scopes.contains("read_api") {
        return Check::warning(
            ID,
            format!(
                "The token has the scopes {}: enough for plan and drift, not for apply",
                has.join(", ")
            ),
            format!("for apply, {make}"),
        );
    }
    let has = if has.is_empty() {
        "none".to_owned()
    } else {
        has.join(", ")
    };
    Check::failure(ID, format!("The token lacks the scope api; it has {has}"), make)
}

fn fine_grained(scopes: Option<&[GranularScope]>, second_factor: bool) -> Check {
    let Some(scopes) = scopes else {
        return Check::skipped(
            ID,
            "The token is a fine-grained one, and GitLab does not show its permissions; docs/security.md lists those that \
             Setpoint needs",
        );
    };
    let missing: Vec<String> = LEAST
        .iter()
        .filter_map(|(boundary, accesses, needed)| {
            let within =
                |scope: &&GranularScope| scope.access.as_deref().is_some_and(|access| accesses.contains(&access));
            let held: BTreeSet<&str> = scopes
                .iter()
                .filter(within)
                .flat_map(|scope| scope.permissions.iter().map(String::as_str))
                .collect();
            let besides = (second_factor && *boundary == "instance").then_some(OF_SECOND_FACTOR);
            let needed = needed.iter().copied().chain(besides);
            let missing: Vec<&str> = needed.filter(|one| !held.contains(one)).collect();
            (!missing.is_empty()).then(|| format!("{} ({boundary})", missing.join(", ")))
        })
        .collect();
    if missing.is_empty() {
        return Check::ok(
            ID,
            "The token is a fine-grained one with all permissions that Setpoint needs",
        );
    }
    Check::failure(
        ID,
        format!("The fine-grained token lacks permissions: {}", missing.join("; ")),
        "add them (User settings > Access tokens); docs/security.md lists all that Setpoint needs",
    )
}

#[cfg(test)]
mod tests {
    use super::{LEAST, OF_SECOND_FACTOR, check};
    use crate::doctor::Status;
    use crate::gitlab::OwnToken;
    use serde_json::{Value, json};

    fn token(scopes: &[&str], granular: Option<&Value>) -> OwnToken {
        let is_granular = scopes.contains(&"granular");
        let value = json!({"id": 7, "scopes": scopes, "granular": is_granular, "granular_scopes": granular});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn scopes_suffice_for_all_or_for_reading() {
        assert_eq!(check(&token(&["api"], None), false).status, Status::Ok);
        assert_eq!(check(&token(&["read_api"], None), false).status, Status::Warning);
        assert_eq!(check(&token(&["read_user"], None), false).status, Status::Failure);
    }

    #[test]
    fn a_fine_grained_token_is_held_against_the_least_set() {
        let least = |without: &str| {
            let scopes = LEAST.iter().map(|(_, accesses, permissions)| {
                let held: Vec<&&str> = permissions.iter().filter(|one| **one != without).collect();
                json!({"access": accesses[0], "permissions": held, "project_id": null})
            });
            token(&["granular"], Some(&Value::Array(scopes.collect())))
        };
        assert_eq!(check(&least(""), false).status, Status::Ok);
        assert!(check(&least(""), true).message.contains(OF_SECOND_FACTOR));
        for (_, _, permissions) in LEAST {
            for permission in permissions {
                let found = check(&least(permission), false);
                assert_eq!(found.status, Status::Failure, "{permission}");
                assert!(found.message.contains(permission), "{}", found.message);
            }
        }
        // A permission of another boundary is none, and what GitLab does not show is not known.
        let elsewhere = json!([{"access": "personal_projects", "permissions": ["read_group"]}]);
        assert_eq!(
            check(&token(&["granular"], Some(&elsewhere)), false).status,
            Status::Failure
        );
        assert_eq!(check(&token(&["granular"], None), false).status, Status::Skipped);
    }
}
