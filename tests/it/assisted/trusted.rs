//! "Trusted" without an administrator's session: a person ticks it in GitLab's admin area and attests it; with a session
//! it is read live, and the word is held against it.

use serde_json::Value;

use super::hands::Hands;
use super::{changes, saving};
use crate::common::Fixture;
use crate::common::plans::{change, differing};

/// Attested by a person who ticked it, or did not.
async fn attested(ticked: bool) -> Fixture {
    let fixture = saving().await;
    let applied = fixture.apply().await.expect(3);
    assert!(applied.stdout.contains("tick \"Trusted\""), "{}", applied.stdout);
    if ticked {
        Hands(&fixture).trust().await;
    }
    fixture.run(&["confirm", "gitlab.application"]).await.expect(0);
    let left = changes(&fixture).await;
    assert!(
        left.iter().all(|(address, ..)| address != "gitlab.application"),
        "{left:?}"
    );
    let plan = fixture.plan().await;
    assert!(is_among(&plan["attested"], "gitlab.application"), "{plan:#}");
    fixture.give_admin_session();
    fixture
}

/// Whether an address is among the attested resources of a plan.
fn is_among(attested: &Value, address: &str) -> bool {
    let mut attested = attested.as_array().into_iter().flatten();
    attested.any(|one| one["address"] == address)
}

#[tokio::test]
async fn what_was_ticked_and_attested_is_borne_out_by_a_session() {
    let fixture = attested(true).await;
    let before = fixture.request_count();
    let plan = fixture.plan().await;
    let unchanged = plan["unchanged"].as_array().expect("a plan has what is unchanged");
    assert!(unchanged.contains(&"gitlab.application".into()), "{plan:#}");
    let edit = format!("GET /admin/applications/{}/edit", fixture.application().id);
    assert!(
        fixture.requests_since(before).contains(&edit),
        "it is read, not remembered"
    );
    assert!(
        !is_among(&plan["attested"], "gitlab.application"),
        "what is seen needs no word: {plan:#}"
    );
}

#[tokio::test]
async fn what_was_attested_and_not_ticked_is_drift_with_a_session() {
    let fixture = attested(false).await;
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let application = change(&drift, "gitlab.application");
    assert_eq!(
        (&application["origin"], &application["reason"], &application["status"]),
        (&"drift".into(), &"differs".into(), &"ready".into())
    );
    assert_eq!(differing(application), ["trusted"]);
    // The session mends it in place.
    let id = fixture.application().id;
    fixture.apply().await.expect(3);
    assert!(fixture.application().trusted && fixture.application().id == id);
    let left = changes(&fixture).await;
    assert!(
        left.iter().all(|(address, ..)| address != "gitlab.application"),
        "{left:?}"
    );
}
