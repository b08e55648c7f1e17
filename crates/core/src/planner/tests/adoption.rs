//! What somebody made by hand and may be using is taken over, and never broken.

use insta::{allow_duplicates, assert_snapshot};

use super::super::fixture::{Case, FINGERPRINT, at, attestation, attested, converged, outline, strings};
use super::super::{Unadoptable, Word, adoptable, refresh, take_over};
use crate::model::{
    Address, Command, Ender, FactorySource, IntegrationStatus, Known, Origin, Reason, SecretCheck, SignIn, Status,
    WarningCode,
};

/// Made by hand, with nothing recorded, and a Factory that cannot be asked.
fn by_hand() -> Case {
    let mut case = attested().forget();
    case.observed.factory.integration = None;
    case.observed.factory.repositories = Known::Known([].into());
    case
}

fn word() -> Word {
    Word {
        attestation: attestation(),
        trusted: true,
        connected: true,
        authorized: true,
    }
}

/// The case as it is after a person has taken it over and looked again.
fn adopted(case: &Case, word: &Word) -> Case {
    let mut case = case.clone();
    case.recorded = take_over(&case.desired, &case.observed, &case.recorded, word).unwrap();
    if case.observed.factory.source == FactorySource::Attested {
        let whole = converged().observed.factory.integration;
        case.observed.factory.integration = case.recorded.connection.as_ref().and(whole);
        if let Some(live) = &mut case.observed.factory.integration {
            live.secret_fingerprint = case
                .recorded
                .connection
                .as_ref()
                .unwrap()
                .secret_fingerprint
                .clone()
                .into();
            if case.recorded.authorization.is_none() {
                (live.status, live.user) = (IntegrationStatus::Configured, None);
            }
        }
    }
    let plan = case.plan();
    case.recorded = refresh(&case.desired, &case.observed, &case.recorded, &plan);
    case
}

fn accepted(fingerprint: &str) -> SecretCheck {
    SecretCheck::Accepted {
        fingerprint: fingerprint.to_owned(),
    }
}

#[test]
fn what_exists_is_blocked_and_the_rest_goes_on() {
    let mut case = by_hand();
    case.user().fields.name = "Somebody".to_owned();
    case.observed.gitlab.memberships.clear();
    // Neither a stored secret nor leave to replace makes it ours.
    for secret in [SecretCheck::NotChecked, accepted("sha256:9")] {
        case.observed.gitlab.secret = secret;
        case.policy.replace_application = true;
        case.application().fields.confidential = false;
        allow_duplicates! { assert_snapshot!(outline(&case.plan()), @r#"
        ~ gitlab.application Blocked already_exists Unrecorded
        ~ gitlab.user Ready differs Unrecorded
        + gitlab.membership["platform"] Ready absent Pending
        + factory.connection Blocked already_exists Unrecorded
        + factory.authorization Blocked already_exists Unrecorded
        + factory.repository["platform/api"] Blocked already_exists Pending
        + factory.repository["platform/services/checkout"] Blocked already_exists Pending
        "#); }
    }
    let plan = case.plan();
    assert!(
        at(&plan, "gitlab.application").notes[0].contains("`setpoint adopt`"),
        "{plan:#?}"
    );
    assert_eq!(plan.summary.interrupting, 0);
    // Looking records what is nobody's else, and nothing of what is to be adopted.
    let record = refresh(&case.desired, &case.observed, &case.recorded, &plan);
    assert!(record.user.is_some() && record.application.is_none());
    case.policy.targets = [Address::User].into();
    let record = refresh(&case.desired, &case.observed, &case.recorded, &case.plan());
    assert_eq!(record.application, None, "not in passing either");
}

#[test]
fn a_factory_that_works_is_not_cut_off_and_one_that_does_not_is_taken_over() {
    let mut case = converged().forget();
    case.desired.connection.domain = "https://git.example.com".into();
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Blocked already_exists Unrecorded
    ~ factory.connection Blocked already_exists Unrecorded
    "#);
    let record = refresh(&case.desired, &case.observed, &case.recorded, &case.plan());
    assert_eq!(record.application, None);
    for status in [IntegrationStatus::Configured, IntegrationStatus::Error] {
        let mut case = case.clone();
        case.integration().status = status;
        let plan = case.plan();
        let change = at(&plan, "gitlab.application");
        assert_eq!(
            (change.status, change.reason),
            (Status::Ready, Reason::SecretUnknown),
            "{status:?}"
        );
        assert_eq!(case.plan().summary.interrupting, 0);
    }
    case.observed.factory.integration = None;
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Ready secret_unknown Pending
    + factory.connection Ready absent Pending <- gitlab.application
    + factory.authorization Ready not_connected Pending <- factory.connection
    "#);
}

/// Where all is as declared there is nothing to ask. Whatever else differs, the application is adopted first, and what does
/// not touch it goes on; of its connection nothing is recorded either, so that the next plan says the same.
#[test]
fn what_factory_works_with_is_adopted_before_anything_else_of_it_is_done() {
    assert_eq!(converged().forget().plan().changes, []);
    let mut case = converged().forget();
    case.user().fields.name = "Somebody".to_owned();
    case.list().values_mut().next().unwrap().enabled = false;
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Blocked already_exists Unrecorded
    ~ gitlab.user Ready differs Unrecorded
    + factory.repository["platform/api"] Ready absent Pending
    "#);
    for _ in 0..2 {
        let plan = case.plan();
        assert_eq!(at(&plan, "gitlab.application").reason, Reason::AlreadyExists);
        let record = refresh(&case.desired, &case.observed, &case.recorded, &plan);
        assert_eq!(
            (&record.application, &record.connection, &record.authorization),
            (&None, &None, &None)
        );
        case.recorded = record;
    }
    // Nor is it replaced, edited or approved anew before.
    let mut touched = case.clone();
    touched.application().fields.confidential = false;
    touched.policy.replace_application = true;
    touched.integration().user.as_mut().unwrap().id.0 = 3;
    let plan = touched.plan();
    assert_eq!(at(&plan, "gitlab.application").status, Status::Blocked);
    assert_eq!(at(&plan, "factory.authorization").reason, Reason::AlreadyExists);
    assert!(!plan.changes.iter().any(|change| change.address == Address::Connection));
    let case = adopted(&case, &word());
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.user Ready differs Pending
    + factory.repository["platform/api"] Ready absent Pending
    "#);
}

#[test]
fn a_stored_secret_that_is_wrong_renews_none_that_works() {
    let mut case = converged().forget();
    case.observed.gitlab.secret = SecretCheck::Rejected {
        fingerprint: "sha256:9".to_owned(),
    };
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Blocked already_exists Unrecorded
    ~ factory.connection Blocked already_exists Unrecorded
    "#);
    assert!(at(&plan, "gitlab.application").notes[0].contains("application.secret.load"));
    // Taken over, the present secret stays, and the store is warned of.
    let case = adopted(&case, &word());
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    assert!(
        plan.warnings.iter().any(|warning| warning.message.contains("rotate")),
        "{plan:#?}"
    );
}

#[test]
fn after_the_adoption_a_plan_is_empty_whatever_is_known_of_the_secret() {
    for secret in [
        SecretCheck::NotChecked,
        SecretCheck::NoneStored,
        accepted(FINGERPRINT),
        SecretCheck::Rejected {
            fingerprint: "sha256:9".to_owned(),
        },
    ] {
        for case in [converged().forget(), by_hand()] {
            let mut case = case;
            case.observed.gitlab.secret = secret.clone();
            // Under the assisted driver the repositories are asked for afterwards, one by one.
            let case = adopted(&case, &word());
            let left: Vec<_> = case
                .plan()
                .changes
                .iter()
                .map(|change| change.address.clone())
                .collect();
            assert!(
                left.iter().all(|address| matches!(address, Address::Repository(_))),
                "{secret:?} {left:?}"
            );
            assert!(case.recorded.application.as_ref().unwrap().adopted.is_some());
            // Once somebody gives the secret, it is known that Factory has it.
            let mut given = case.clone();
            given.observed.gitlab.secret = accepted(FINGERPRINT);
            given.recorded = refresh(&given.desired, &given.observed, &given.recorded, &given.plan());
            if let Some(live) = given
                .observed
                .factory
                .integration
                .as_mut()
                .filter(|live| !live.secret_fingerprint.is_unknown())
            {
                live.secret_fingerprint = Known::Known(FINGERPRINT.to_owned());
            }
            let left: Vec<_> = given
                .plan()
                .changes
                .iter()
                .map(|change| change.address.clone())
                .collect();
            assert!(
                left.iter().all(|address| matches!(address, Address::Repository(_))),
                "{secret:?} {left:?}"
            );
            assert_eq!(
                given.recorded.connection.unwrap().secret_fingerprint.as_deref(),
                Some(FINGERPRINT)
            );
        }
    }
}

#[test]
fn what_a_person_denies_is_left_to_do_and_says_that_it_interrupts() {
    let nothing = Word {
        trusted: false,
        connected: false,
        authorized: false,
        ..word()
    };
    let case = adopted(&by_hand(), &nothing);
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Ready secret_unknown Pending
    + factory.connection Operator absent Pending <- gitlab.application
    + factory.authorization Operator not_connected Pending <- factory.connection
    + factory.repository["platform/api"] Operator absent Pending <- factory.authorization
    + factory.repository["platform/services/checkout"] Operator absent Pending <- factory.authorization
    "#);
    let interrupts = at(&plan, "gitlab.application").interrupts.clone().unwrap();
    assert_eq!(interrupts.ended_by, Ender::Operator);
    // Only the approval is missing.
    let connected = Word {
        authorized: false,
        ..word()
    };
    let plan = adopted(&by_hand(), &connected).plan();
    let change = at(&plan, "factory.authorization");
    assert_eq!((change.status, change.reason), (Status::Operator, Reason::NotConnected));
    assert!(!plan.changes.iter().any(|change| change.address == Address::Application));
}

#[test]
fn an_application_under_another_name_is_told_of_before_another_is_made() {
    let mut case = by_hand();
    case.application().fields.name = "Droids".to_owned();
    let warned = |case: &Case| {
        let plan = case.plan();
        let warning = plan
            .warnings
            .iter()
            .find(|one| one.code == WarningCode::TwinApplication);
        warning.is_some_and(|warning| warning.message.contains("`Droids` (id 1)") && warning.message.contains("adopt"))
    };
    assert!(warned(&case));
    case.application().fields.redirect_uris = strings(["https://elsewhere.example.com/"]);
    assert!(!warned(&case));
}

#[test]
fn there_is_one_thing_to_adopt_or_none() {
    let no = |case: &Case| adoptable(&case.desired, &case.observed, &case.recorded).unwrap_err();
    let mut case = by_hand();
    assert!(adoptable(&case.desired, &case.observed, &case.recorded).is_ok());
    let mut second = case.application().clone();
    second.id.0 = 2;
    second.uid.0 = "uid-2".to_owned();
    case.observed.gitlab.applications.push(second);
    assert!(matches!(no(&case), Unadoptable::Ambiguous(candidates) if candidates.len() == 2));
    case.observed.gitlab.applications.clear();
    assert_eq!(no(&case), Unadoptable::NoApplication);
    assert_eq!(no(&converged()), Unadoptable::Recorded);
}

#[test]
fn a_rotation_is_on_purpose_and_says_who_ends_it() {
    let mut case = by_hand();
    case.policy.command = Command::Rotate;
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Ready differs Pending
    + factory.connection Operator absent Pending <- gitlab.application
    + factory.authorization Operator not_connected Pending <- factory.connection
    "#);
    assert_eq!(
        at(&plan, "gitlab.application").interrupts.as_ref().unwrap().ended_by,
        Ender::Operator
    );
    let mut case = converged();
    case.policy.command = Command::Rotate;
    case.policy.sign_in = Some(SignIn::Password);
    let plan = case.plan();
    for address in ["gitlab.application", "factory.connection"] {
        let interrupts = at(&plan, address).interrupts.clone().unwrap();
        assert_eq!(
            (interrupts.until, interrupts.ended_by),
            (Address::Authorization, Ender::Setpoint),
            "{address}"
        );
    }
    assert_eq!(plan.summary.interrupting, 2);
}

#[test]
fn each_way_of_cutting_factory_off_says_so() {
    let interrupting = |case: &Case| {
        let plan = case.plan();
        let marked = plan.changes.iter().filter(|change| change.interrupts.is_some());
        marked
            .map(|change| change.address.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut replaced = attested();
    replaced.desired.application.confidential = false;
    replaced.policy.replace_application = true;
    assert_eq!(interrupting(&replaced), "gitlab.application factory.connection");
    let mut moved = attested();
    moved.desired.connection.domain = "https://git.example.com".into();
    moved.observed.gitlab.secret = accepted(FINGERPRINT);
    assert_eq!(interrupting(&moved), "factory.connection");
    moved.observed.gitlab.secret = SecretCheck::NotChecked;
    assert_eq!(interrupting(&moved), "gitlab.application factory.connection");
    // Where nothing works, nothing is interrupted; and what is taken down is not.
    moved.integration().status = IntegrationStatus::Configured;
    moved.integration().user = None;
    assert_eq!(interrupting(&moved), "");
    let mut down = attested();
    down.policy.command = Command::Destroy;
    assert_eq!(interrupting(&down), "");
    assert_eq!(interrupting(&attested()), "");
}

#[test]
fn a_creation_of_ours_without_its_answer_needs_nobody() {
    let mut case = by_hand();
    let application = case.desired.application.clone();
    case.intent(
        Address::Application,
        crate::model::ApplicationOperation::Create { application }.into(),
    );
    case.recorded.intents[0].applications_before.clear();
    let plan = case.plan();
    let change = at(&plan, "gitlab.application");
    assert_eq!((change.status, change.origin), (Status::Ready, Origin::Pending));
    assert_eq!(change.interrupts, None);
}
