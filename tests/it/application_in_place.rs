//! With an administrator's session the application is edited where it is: no token is lost, and `trusted`, which
//! GitLab's API neither shows nor takes, is read and set.

use serde_json::json;

use super::common::Fixture;
use super::common::plans::{change, differing, expect_order, find, notes};

async fn applied() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    fixture
}

#[tokio::test]
async fn it_is_created_by_api_and_made_trusted_by_form() {
    let fixture = applied().await;
    let application = fixture.application();
    assert!(application.trusted && application.confidential);
    assert_eq!(application.scopes.len(), 7);
    expect_order(
        &fixture.requests_since(0),
        &[
            "POST /api/v4/applications",
            &format!("GET /admin/applications/{}/edit", application.id),
            &format!("POST /admin/applications/{}", application.id),
            "POST /users/sign_out",
        ],
    );
    fixture.expect_connected("after the first apply");
    fixture.expect_signed_out("after the first apply");
    fixture.expect_nothing_to_do("after the first apply").await;
}

#[tokio::test]
async fn what_was_changed_behind_its_back_is_read_and_put_right_in_place() {
    let fixture = applied().await;
    let before = fixture.application();
    let tokens = fixture.world(|world| world.oauth_tokens.len());
    fixture.change_application(|application| {
        application.trusted = false;
        application.confidential = false;
        application
            .redirect_uri
            .push_str("\r\nhttps://elsewhere.example.com/callback");
        application.scopes.retain(|scope| scope != "write_observability");
    });
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let drifted = change(&drift, "gitlab.application");
    assert_eq!(drifted["actions"], json!(["update"]));
    assert_eq!(drifted["origin"], "drift");
    assert_eq!(
        differing(drifted),
        ["redirect_uri", "trusted", "confidential", "scopes"]
    );
    fixture.apply().await.expect(0);
    let after = fixture.application();
    assert_eq!((after.id, &after.uid), (before.id, &before.uid));
    assert_eq!(after.secret_digest, before.secret_digest);
    assert!(after.trusted && after.confidential);
    assert_eq!(after.redirect_uri, before.redirect_uri);
    let revoked = fixture.world(|world| {
        world
            .oauth_tokens
            .iter()
            .filter(|token| token.revoked_at.is_some())
            .count()
    });
    assert_eq!(revoked, 0, "of {tokens} tokens");
    fixture.expect_connected("after the edit");
    fixture.expect_nothing_to_do("after the edit").await;
}

#[tokio::test]
async fn a_changed_file_is_an_edit_and_keeps_id_and_secret() {
    let fixture = applied().await;
    let before = fixture.application();
    let uri = fixture.redirect_uri();
    fixture.edit_config(
        &format!("redirect_uri = \"{uri}\""),
        &format!("trusted = false\nredirect_uri = [\"{uri}\", \"{uri}/more\"]"),
    );
    let plan = fixture.plan().await;
    let edit = change(&plan, "gitlab.application");
    assert_eq!(
        (&edit["actions"], &edit["status"], &edit["origin"]),
        (&json!(["update"]), &json!("ready"), &json!("pending"))
    );
    assert_eq!(differing(edit), ["redirect_uri", "trusted"]);
    assert!(
        find(&plan, "factory.connection").is_none() && find(&plan, "factory.authorization").is_none(),
        "{plan:#}"
    );
    fixture.apply().await.expect(0);
    let after = fixture.application();
    assert_eq!(
        (after.id, after.uid, after.secret_digest),
        (before.id, before.uid, before.secret_digest)
    );
    assert_eq!(after.redirect_uri.lines().count(), 2);
    assert!(!after.trusted);
    fixture.expect_connected("after the edit");
    fixture.expect_nothing_to_do("after the edit").await;
}

#[tokio::test]
async fn a_scope_that_is_added_reaches_factory_with_a_rotation() {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    let missing = |scopes: &[String]| !scopes.iter().any(|scope| scope == "read_user");
    // As if both had been set up with fewer scopes, and the file asks for more now.
    fixture.change_application(|application| application.scopes.retain(|scope| scope != "read_user"));
    fixture.world(|world| {
        for token in &mut world.oauth_tokens {
            token.scopes.retain(|scope| scope != "read_user");
        }
    });
    let plan = fixture.plan().await;
    let edit = change(&plan, "gitlab.application");
    assert!(notes(edit).contains("`setpoint rotate`"), "{edit:#}");
    fixture.apply().await.expect(0);
    assert!(!missing(&fixture.application().scopes));
    fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    let newest = fixture.world(|world| world.oauth_tokens.last().expect("a token").scopes.clone());
    assert!(!missing(&newest), "{newest:?}");
    fixture.expect_connected("after the edit");
    fixture.expect_nothing_to_do("after the edit").await;
}
