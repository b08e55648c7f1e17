//! The executor against fakes that log every call, fail at any of them, or die there.

mod world;

use world::{Fault, World, change, desired, first_apply, path, plan, replacement};

use crate::executor::{Answer, StopReason};
use crate::http::ErrorKind;
use crate::model::{
    Actions, Address, ApplicationId, ApplicationOperation, ApplicationRef, ApplicationUid, AuthorizationOperation,
    AuthorizedUser, ChangeOutcome, Command, ConnectionOperation, IntegrationStatus, Operation, OperatorStep, Outcome,
    OutcomeSummary, Plan, ProjectId, RecordedApplication, RecordedState, RepositoryOperation, SecretSource, Status,
    UserId,
};
use crate::secrets::Secret;
use crate::state::parse;

fn outcome_of<'a>(outcomes: &'a [ChangeOutcome], address: &Address) -> &'a ChangeOutcome {
    outcomes.iter().find(|outcome| &outcome.address == address).unwrap()
}

fn position(log: &[String], name: &str) -> usize {
    log.iter()
        .position(|line| line == name)
        .unwrap_or_else(|| panic!("no `{name}` in {log:#?}"))
}

fn count(log: &[String], prefix: &str) -> usize {
    log.iter().filter(|line| line.starts_with(prefix)).count()
}

#[tokio::test]
async fn a_first_apply_goes_in_order_and_leaves_no_intent() {
    let world = World::default();
    let plan = first_apply(3, 2);
    let outcomes = world.run(&plan).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete(), "{outcomes:#?}");
    let addresses: Vec<_> = outcomes.iter().map(|outcome| &outcome.address).collect();
    assert!(addresses.is_sorted(), "outcomes are in the plan's order");
    let log = world.writes();
    let at = |name| position(&log, name);
    assert!(at("create application") < at("save secret"));
    assert!(
        at("save secret") < at("save connection"),
        "the vault has it before Factory does"
    );
    assert!(at("edit application 100") < at("save connection"));
    assert!(at("create user") < at("add member"));
    assert!(at("save connection") < at("start authorization"));
    assert!(at("finish authorization") < at("set 2 repositories"));
    let record = world.get().record.clone().unwrap();
    assert!(record.intents.is_empty());
    let secret = Secret::new("canary-secret-1").fingerprint("lineage");
    let application = record.application.unwrap();
    assert_eq!(application.trusted, Some(true));
    assert_eq!(application.secret_fingerprint.as_ref(), Some(&secret));
    assert_eq!(record.connection.unwrap().secret_fingerprint.as_ref(), Some(&secret));
    assert_eq!(record.authorization.unwrap().secret_fingerprint.as_ref(), Some(&secret));
    assert_eq!((record.memberships.len(), record.repositories.len()), (3, 2));
    assert_eq!(world.get().held_secret.as_deref(), Some("canary-secret-1"));
}

#[tokio::test]
async fn every_write_is_announced_before_it_goes_out() {
    let world = World::default();
    world.run_with(&first_apply(2, 2), 1, false).await.unwrap();
    let log = world.writes();
    for (write, address) in [
        ("create application", "gitlab.application"),
        ("edit application 100", "gitlab.application"),
        ("create user", "gitlab.user"),
        ("add member", "gitlab.membership"),
        ("save connection", "factory.connection"),
        ("start authorization", "factory.authorization"),
        ("set 2 repositories", "factory.repository"),
    ] {
        let at = position(&log, write);
        let announced = log[..at].iter().rev().find(|line| line.starts_with("state ")).unwrap();
        assert!(announced.contains(address), "{write} after `{announced}`");
        let recorded = log[at..].iter().find(|line| line.starts_with("state ")).unwrap();
        assert!(!recorded.contains(address), "{write} recorded by `{recorded}`");
    }
}

#[tokio::test]
async fn no_secret_is_in_any_record_or_report() {
    let world = World::default();
    let plan = first_apply(1, 1);
    let outcomes = world.run(&plan).await.unwrap();
    let inner = world.get();
    let mut texts: Vec<String> = inner
        .stored
        .iter()
        .map(|b| String::from_utf8(b.clone()).unwrap())
        .collect();
    texts.push(format!("{outcomes:?}"));
    texts.push(serde_json::to_string(&plan).unwrap());
    assert!(texts.len() > 10);
    assert!(texts.iter().all(|text| !text.contains("canary")));
}

#[tokio::test]
async fn repositories_go_in_batches_and_every_one_is_recorded() {
    let world = World::default();
    let outcomes = world.run(&first_apply(0, 250)).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete());
    let log = world.writes();
    assert_eq!(count(&log, "set "), 3);
    assert_eq!(count(&log, "set 100 repositories"), 2);
    let record = world.get().record.clone().unwrap();
    assert_eq!(record.repositories.len(), 250);
    assert!(record.intents.is_empty());
}

#[tokio::test]
async fn one_refused_repository_leaves_the_others_done() {
    let world = World::default();
    world.get().refuse_repository = Some(ProjectId(1));
    let outcomes = world.run(&first_apply(0, 3)).await.unwrap();
    let failed = outcome_of(&outcomes, &Address::Repository(path("a/r0001")));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(failed.error.as_deref(), Some("Factory refused: no"));
    assert_eq!(OutcomeSummary::of(&outcomes).failed, 1);
    let record = world.get().record.clone().unwrap();
    assert_eq!(record.repositories.len(), 2);
    assert!(record.intents.is_empty());
}

#[tokio::test]
async fn concurrency_stays_within_its_bound_and_shares_state_writes() {
    let world = World::default();
    world.run_with(&first_apply(40, 0), 5, false).await.unwrap();
    assert!(world.get().most_running <= 5, "{}", world.get().most_running);
    assert!(world.get().most_running > 2, "{}", world.get().most_running);
    let log = world.writes();
    assert_eq!(count(&log, "add member"), 40);
    assert!(count(&log, "state ") < 70, "{} state writes", count(&log, "state "));
}

#[tokio::test]
async fn what_depends_on_a_failure_is_skipped_and_the_rest_goes_on() {
    let world = World::default();
    world.get().save_fails = true;
    let outcomes = world.run(&first_apply(2, 2)).await.unwrap();
    let of = |address: Address| outcome_of(&outcomes, &address).clone();
    let application = of(Address::Application);
    assert_eq!(application.outcome, Outcome::Failed);
    assert!(application.error.unwrap().contains("the vault is sealed"));
    assert_eq!(of(Address::Connection).outcome, Outcome::Skipped);
    assert_eq!(
        of(Address::Connection).error.as_deref(),
        Some("gitlab.application failed")
    );
    assert_eq!(of(Address::Repository(path("a/r0000"))).outcome, Outcome::Skipped);
    assert_eq!(of(Address::Membership(path("g000"))).outcome, Outcome::Done);
    let record = world.get().record.clone().unwrap();
    assert!(record.intents.is_empty());
    assert_eq!(
        record.application.unwrap().secret_fingerprint,
        None,
        "a secret that was not saved is not trusted"
    );
}

#[tokio::test]
async fn fail_fast_ends_at_the_first_failure() {
    let world = World::default();
    world.get().save_fails = true;
    let outcomes = world.run_with(&first_apply(2, 0), 1, true).await.unwrap();
    let summary = OutcomeSummary::of(&outcomes);
    assert_eq!((summary.failed, summary.done), (1, 0));
    assert_eq!(count(&world.writes(), "create user"), 0);
}

#[tokio::test]
async fn a_blocked_change_does_not_stop_the_rest() {
    let world = World::default();
    let mut plan = first_apply(2, 0);
    for change in &mut plan.changes {
        if change.address == Address::Membership(path("g000")) {
            change.status = Status::Blocked;
            change.notes = vec!["there is no such group".into()];
        }
    }
    let outcomes = world.run(&plan).await.unwrap();
    let blocked = outcome_of(&outcomes, &Address::Membership(path("g000")));
    assert_eq!(blocked.outcome, Outcome::Blocked);
    assert_eq!(blocked.error.as_deref(), Some("absent: there is no such group"));
    let done = outcomes
        .iter()
        .filter(|outcome| outcome.outcome == Outcome::Done)
        .count();
    assert_eq!(done, outcomes.len() - 1);
}

#[tokio::test]
async fn a_replacement_deletes_the_old_one_after_all_else() {
    let world = World::default();
    let plan = replacement(&world);
    let outcomes = world.run(&plan).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete(), "{outcomes:#?}");
    let log = world.writes();
    let delete = position(&log, "delete application 1");
    assert!(position(&log, "set 2 repositories") < delete);
    let inner = world.get();
    assert_eq!(inner.applications.len(), 1);
    assert!(inner.record.as_ref().unwrap().superseded.is_empty());
    let superseded = |bytes: &Vec<u8>| parse(bytes, "x").unwrap().superseded.len();
    assert!(inner.stored.iter().any(|bytes| superseded(bytes) == 1));
}

#[tokio::test]
async fn a_replacement_keeps_the_old_one_while_factory_has_not_moved() {
    let world = World::default();
    let plan = replacement(&world);
    world.get().authorizes_as = Some(AuthorizedUser {
        id: UserId(1),
        username: "root".into(),
    });
    let outcomes = world.run(&plan).await.unwrap();
    let authorization = outcome_of(&outcomes, &Address::Authorization);
    assert_eq!(authorization.outcome, Outcome::Failed);
    assert_eq!(
        authorization.error.as_deref(),
        Some("Factory is connected as `root` (user 1) and not as `factory-droid` (user 7)")
    );
    assert_eq!(outcome_of(&outcomes, &Address::Application).outcome, Outcome::Skipped);
    assert_eq!(count(&world.writes(), "delete application"), 0);
    let record = world.get().record.clone().unwrap();
    assert_eq!(
        record.superseded.get(&ApplicationId(1)),
        Some(&ApplicationUid("old".into()))
    );
    assert_eq!(record.authorization, None);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_adopted_without_its_secret() {
    let world = World::default();
    let plan = plan(vec![change(
        Address::Application,
        vec![Operation::Application(ApplicationOperation::Create {
            application: desired(),
        })],
        &[],
    )]);
    // 1 reads the applications, 2 announces, 3 creates.
    world.get().fault = Some((
        3,
        Fault::Fail {
            kind: ErrorKind::AnswerLost,
            processed: true,
        },
    ));
    let outcomes = world.run(&plan).await.unwrap();
    assert_eq!(outcomes[0].outcome, Outcome::Failed);
    assert!(outcomes[0].error.as_ref().unwrap().contains("the next run renews it"));
    let record = world.get().record.clone().unwrap();
    let application = record.application.unwrap();
    assert_eq!(
        (application.id, application.secret_fingerprint),
        (ApplicationId(100), None)
    );
    assert!(record.intents.is_empty());
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_remembered_as_unknown() {
    let world = World::default();
    let mut record = RecordedState::empty("lineage", "0");
    let desired = desired();
    record.application = Some(RecordedApplication {
        id: ApplicationId(5),
        uid: ApplicationUid("five".into()),
        name: desired.name,
        redirect_uris: desired.redirect_uris,
        confidential: true,
        scopes: None,
        trusted: None,
        trusted_attested: None,
        secret_fingerprint: Some("sha256:old".into()),
    });
    let application = ApplicationRef::Existing {
        id: ApplicationId(5),
        uid: ApplicationUid("five".into()),
    };
    let plan = plan(vec![change(
        Address::Application,
        vec![Operation::Application(ApplicationOperation::RenewSecret {
            application,
        })],
        &[],
    )]);
    for (kind, fingerprint, intents) in [
        (ErrorKind::AnswerLost, None, 1),
        (ErrorKind::Forbidden, Some("sha256:old".to_owned()), 0),
    ] {
        world.get().record = Some(record.clone());
        world.get().calls = 0;
        world.get().fault = Some((2, Fault::Fail { kind, processed: false }));
        let outcomes = world.run(&plan).await.unwrap();
        assert_eq!(outcomes[0].outcome, Outcome::Failed);
        let after = world.get().record.clone().unwrap();
        assert_eq!(after.application.unwrap().secret_fingerprint, fingerprint);
        assert_eq!(after.intents.len(), intents);
    }
}

#[tokio::test]
async fn an_interrupt_finishes_and_records_what_is_in_flight() {
    let world = World::default();
    world.get().stop_after = Some(("create application", StopReason::Interrupted));
    let outcomes = world.run_with(&first_apply(2, 2), 1, false).await.unwrap();
    let application = outcome_of(&outcomes, &Address::Application);
    assert_eq!(application.outcome, Outcome::Skipped);
    assert!(application.error.as_ref().unwrap().contains("interrupted"));
    assert!(outcomes.iter().all(|outcome| outcome.outcome == Outcome::Skipped));
    let record = world.get().record.clone().unwrap();
    assert!(record.application.is_some() && record.intents.is_empty());
    assert_eq!(count(&world.writes(), "edit application"), 0);
}

#[tokio::test]
async fn a_closing_window_lets_a_change_finish_and_begins_no_other() {
    let world = World::default();
    world.get().stop_after = Some(("create application", StopReason::WindowClosed));
    let outcomes = world.run_with(&first_apply(2, 2), 1, false).await.unwrap();
    assert_eq!(outcome_of(&outcomes, &Address::Application).outcome, Outcome::Done);
    assert_eq!(OutcomeSummary::of(&outcomes).done, 1);
    let skipped = outcome_of(&outcomes, &Address::Connection);
    assert_eq!(skipped.error.as_deref(), Some("not begun: the change window ended"));
}

#[tokio::test]
async fn after_the_end_of_the_window_nothing_begins() {
    let world = World::default();
    let ended = Some(std::time::Instant::now());
    let executed = world.run_until(&first_apply(2, 2), 1, false, ended).await.unwrap();
    assert!(
        executed.outcomes.iter().all(|one| one.outcome == Outcome::Skipped),
        "{executed:#?}"
    );
    let application = outcome_of(&executed.outcomes, &Address::Application);
    assert_eq!(application.error.as_deref(), Some("not begun: the change window ended"));
    assert_eq!(world.get().calls, 0);
}

#[tokio::test]
async fn what_could_not_be_written_is_given_back_as_it_would_have_been() {
    let world = World::default();
    world.get().store_fails_at = Some(2);
    let executed = world.run_until(&first_apply(2, 2), 1, false, None).await.unwrap();
    let unwritten = executed.unwritten.unwrap();
    assert!(unwritten.why.contains("no space"), "{}", unwritten.why);
    assert_eq!(unwritten.record.serial, 2, "one on from what is stored");
    let application = unwritten.record.application.unwrap();
    assert!(application.secret_fingerprint.is_some());
    assert!(world.get().record.as_ref().unwrap().application.is_none());

    let world = World::default();
    let executed = world.run_until(&first_apply(2, 2), 1, false, None).await.unwrap();
    assert!(executed.unwritten.is_none());
}

#[tokio::test]
async fn when_the_record_cannot_be_written_nothing_new_goes_out() {
    let calls_after = |failing_write: usize| async move {
        let world = World::default();
        world.get().store_fails_at = Some(failing_write);
        let outcomes = world.run_with(&first_apply(2, 2), 1, false).await.unwrap();
        let failed: Vec<_> = outcomes.iter().filter(|o| o.outcome == Outcome::Failed).collect();
        assert_eq!(failed.len(), 1, "{outcomes:#?}");
        assert!(failed[0].error.as_ref().unwrap().contains("no space"));
        let log = world.writes();
        log.iter().filter(|line| !line.starts_with("state")).count()
    };
    assert_eq!(calls_after(1).await, 0);
    assert_eq!(calls_after(2).await, 2, "the creation and its secret, and no more");
}

/// The same plan as `assisted` has it.
fn assisted(repositories: u64) -> Plan {
    let mut plan = first_apply(1, repositories);
    for change in &mut plan.changes {
        let steps: Vec<_> = change
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Connection(ConnectionOperation::Save {
                    domain,
                    application,
                    secret,
                }) => Some(OperatorStep::SaveConnection {
                    domain: domain.clone(),
                    application: application.clone(),
                    secret: *secret,
                }),
                Operation::Authorization(AuthorizationOperation::Authorize { username, .. }) => {
                    Some(OperatorStep::Authorize {
                        username: username.clone(),
                    })
                }
                Operation::Repository(RepositoryOperation::Enable { id }) => Some(OperatorStep::EnableRepository {
                    id: *id,
                    path: change.address.path().unwrap().clone(),
                }),
                _ => None,
            })
            .collect();
        if !steps.is_empty() {
            change.operations.clear();
            change.steps = steps;
            change.status = Status::Operator;
        }
    }
    plan
}

fn attested() -> Answer {
    Answer::Attested {
        by: "ada@host.example.com".into(),
    }
}

#[tokio::test]
async fn a_person_is_asked_in_order_and_the_answers_are_recorded() {
    let world = World::default();
    world.get().answers = vec![attested(), attested(), attested()];
    let outcomes = world.run(&assisted(3)).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete(), "{outcomes:#?}");
    let asked = world.get().asked.clone();
    let cards: Vec<_> = asked
        .iter()
        .map(|(steps, secret)| (steps[0].as_str(), steps.len(), *secret))
        .collect();
    assert_eq!(
        cards,
        [
            ("factory.connection", 1, true),
            ("factory.authorization", 1, false),
            ("factory.repository[\"a/r0000\"]", 3, false),
        ]
    );
    let record = world.get().record.clone().unwrap();
    let secret = Some(Secret::new("canary-secret-1").fingerprint("lineage"));
    let connection = record.connection.unwrap();
    assert_eq!(connection.secret_fingerprint, secret);
    assert_eq!(connection.attested.unwrap().by, "ada@host.example.com");
    let authorization = record.authorization.unwrap();
    assert_eq!(authorization.user.id, UserId(7));
    assert_eq!(authorization.secret_fingerprint, secret);
    assert_eq!(record.repositories.len(), 3);
    assert!(
        record
            .repositories
            .values()
            .all(|repository| repository.attested.is_some())
    );
}

#[tokio::test]
async fn an_approval_that_gitlab_denies_is_asked_for_again() {
    let world = World::default();
    world.get().answers = vec![attested(), attested(), attested(), Answer::Skipped];
    world.get().denials = 2;
    let outcomes = world.run(&assisted(1)).await.unwrap();
    assert_eq!(world.get().asked.len(), 4);
    assert_eq!(OutcomeSummary::of(&outcomes).operator, 2, "{outcomes:#?}");
    assert!(world.get().record.clone().unwrap().authorization.is_none());
}

#[tokio::test]
async fn with_nobody_there_every_step_is_left_for_later() {
    let world = World::default();
    let outcomes = world.run(&assisted(2)).await.unwrap();
    let summary = OutcomeSummary::of(&outcomes);
    assert_eq!((summary.done, summary.operator), (3, 4), "{outcomes:#?}");
    assert_eq!(world.get().asked.len(), 3);
}

#[tokio::test]
async fn what_follows_a_step_that_was_put_off_is_not_asked_for() {
    let world = World::default();
    world.get().answers = vec![Answer::Skipped];
    let outcomes = world.run(&assisted(2)).await.unwrap();
    assert_eq!(world.get().asked.len(), 1);
    assert_eq!(OutcomeSummary::of(&outcomes).operator, 4);
    let waiting = outcome_of(&outcomes, &Address::Authorization);
    assert_eq!(
        waiting.error.as_deref(),
        Some("waits for a person to do factory.connection")
    );
}

#[tokio::test]
async fn a_tick_by_hand_does_not_hold_up_what_follows() {
    let world = World::default();
    let mut plan = first_apply(0, 1);
    let application = &mut plan.changes[0];
    application.operations.truncate(1);
    application.status = Status::Operator;
    application.steps = vec![OperatorStep::SetTrusted {
        application: ApplicationRef::Planned,
        name: "Factory Integration".into(),
        trusted: true,
    }];
    let outcomes = world.run(&plan).await.unwrap();
    assert_eq!(outcome_of(&outcomes, &Address::Application).outcome, Outcome::Operator);
    let done = outcomes
        .iter()
        .filter(|outcome| outcome.outcome == Outcome::Done)
        .count();
    assert_eq!(done, outcomes.len() - 1, "{outcomes:#?}");
    let record = world.get().record.clone().unwrap();
    assert_eq!(record.application.unwrap().trusted, Some(false));
}

#[tokio::test]
async fn a_loaded_secret_goes_to_factory_and_a_missing_one_fails() {
    let save = || {
        plan(vec![change(
            Address::Connection,
            vec![Operation::Connection(ConnectionOperation::Save {
                domain: "https://gitlab.example.com".into(),
                application: ApplicationRef::Existing {
                    id: ApplicationId(5),
                    uid: ApplicationUid("five".into()),
                },
                secret: SecretSource::Loaded,
            })],
            &[],
        )])
    };
    let world = World::default();
    assert_eq!(world.run(&save()).await.unwrap()[0].outcome, Outcome::Failed);
    assert!(world.writes().is_empty());
    world.get().saved.push("canary-stored".into());
    assert_eq!(world.run(&save()).await.unwrap()[0].outcome, Outcome::Done);
    assert_eq!(world.get().held_secret.as_deref(), Some("canary-stored"));
}

#[tokio::test]
async fn taking_down_is_no_replacement_and_does_not_wait() {
    let world = World::default();
    let mut application = change(
        Address::Application,
        vec![Operation::Application(ApplicationOperation::Delete {
            id: ApplicationId(5),
            uid: ApplicationUid("five".into()),
        })],
        &[Address::Connection],
    );
    application.actions = Actions::Delete;
    let mut connection = change(
        Address::Connection,
        vec![Operation::Connection(ConnectionOperation::Delete)],
        &[],
    );
    connection.actions = Actions::Delete;
    let mut plan = plan(vec![application, connection]);
    plan.command = Command::Destroy;
    let outcomes = world.run(&plan).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete());
    let log = world.writes();
    assert!(position(&log, "delete connection") < position(&log, "delete application 5"));
}

#[tokio::test]
async fn what_an_earlier_replacement_left_behind_goes_last_too() {
    let world = World::default();
    world.get().saved.push("canary-stored".into());
    let mut leftover = change(
        Address::Application,
        vec![Operation::Application(ApplicationOperation::Delete {
            id: ApplicationId(1),
            uid: ApplicationUid("old".into()),
        })],
        &[],
    );
    leftover.actions = Actions::Delete;
    let save = Operation::Connection(ConnectionOperation::Save {
        domain: "https://gitlab.example.com".into(),
        application: ApplicationRef::Existing {
            id: ApplicationId(5),
            uid: ApplicationUid("five".into()),
        },
        secret: SecretSource::Loaded,
    });
    let plan = plan(vec![leftover, change(Address::Connection, vec![save], &[])]);
    let outcomes = world.run(&plan).await.unwrap();
    assert!(OutcomeSummary::of(&outcomes).is_complete(), "{outcomes:#?}");
    let log = world.writes();
    assert!(position(&log, "save connection") < position(&log, "delete application 1"));
}

/// What must hold of a record whenever a run is cut off, whatever the world looks like by then.
fn check_record(world: &World, context: &str) {
    let inner = world.get();
    let record = match inner.stored.last() {
        Some(bytes) => {
            assert!(!String::from_utf8_lossy(bytes).contains("canary"), "{context}");
            parse(bytes, "record").unwrap()
        }
        None => RecordedState::empty("lineage", "0"),
    };
    let announced = |address: &Address| record.intents_of(address).next().is_some();
    for application in inner.applications.iter().filter(|app| app.id != ApplicationId(1)) {
        let recorded = record
            .application
            .as_ref()
            .is_some_and(|app| app.uid == application.uid);
        let findable = record.intents.iter().any(|intent| {
            matches!(
                intent.operation,
                Operation::Application(ApplicationOperation::Create { .. })
            ) && !intent.applications_before.contains(&application.id)
        });
        assert!(recorded || findable, "{context}: an application nobody remembers");
        if recorded && inner.applications.iter().any(|app| app.id == ApplicationId(1)) {
            let old = record.superseded.contains_key(&ApplicationId(1));
            assert!(old, "{context}: the old application is forgotten");
        }
    }
    assert!(
        inner.user.is_none() || record.user.is_some() || announced(&Address::User),
        "{context}"
    );
    let remembered = record.memberships.len() + count_announced(&record, "gitlab.membership");
    assert!(remembered >= inner.members.len(), "{context}");
    let remembered = record.repositories.len() + count_announced(&record, "factory.repository");
    assert!(remembered >= inner.repositories.len(), "{context}");
    if let Some(integration) = &inner.integration {
        let recorded = record.connection.as_ref().map(|connection| &connection.application);
        let known = recorded == Some(&integration.application) || announced(&Address::Connection);
        assert!(known, "{context}: a connection nobody remembers");
        if integration.status == IntegrationStatus::Connected {
            assert!(
                record.authorization.is_some() || announced(&Address::Authorization),
                "{context}"
            );
        }
    }
    if inner.log.iter().any(|line| line.starts_with("delete application")) {
        let connected = inner.integration.as_ref().unwrap();
        assert_eq!(connected.status, IntegrationStatus::Connected, "{context}");
        assert_ne!(connected.application, ApplicationUid("old".into()), "{context}");
    }
    if let Some(held) = &inner.held_secret {
        assert!(
            inner.saved.contains(held),
            "{context}: Factory has what the vault has not"
        );
    }
}

fn count_announced(record: &RecordedState, kind: &str) -> usize {
    record
        .intents
        .iter()
        .filter(|intent| intent.address.kind().to_string() == kind)
        .count()
}

/// Both scenarios with this fault at each of their calls.
async fn at_every_call(fault: Fault) -> usize {
    let mut points = 0;
    for scenario in ["first", "replace"] {
        for call in 1.. {
            let world = World::default();
            let plan = match scenario {
                "first" => first_apply(5, 120),
                _ => replacement(&world),
            };
            world.get().fault = Some((call, fault.clone()));
            let outcomes = world.run(&plan).await;
            check_record(
                &world,
                &format!("{scenario}, {fault:?} at {call}: {:?}", world.get().log.last()),
            );
            if world.get().calls < call {
                assert!(OutcomeSummary::of(&outcomes.unwrap()).is_complete());
                break;
            }
            points += 1;
        }
    }
    points
}

#[tokio::test]
async fn wherever_it_dies_the_record_holds_the_result_or_the_announcement() {
    for processed in [false, true] {
        let points = at_every_call(Fault::Die { processed }).await;
        assert!(points > 50, "{points}");
    }
}

#[tokio::test]
async fn wherever_a_call_fails_the_record_holds_the_result_or_the_announcement() {
    for kind in [ErrorKind::AnswerLost, ErrorKind::Server(502)] {
        for processed in [false, true] {
            let kind = kind.clone();
            at_every_call(Fault::Fail { kind, processed }).await;
        }
    }
    let kind = ErrorKind::Unreachable;
    at_every_call(Fault::Fail { kind, processed: false }).await;
}
