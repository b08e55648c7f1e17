//! The executor on plans as the planner makes them, against both sides in memory: in which order it does things, what it
//! reports, and what it leaves in the record where something goes wrong. That the next run puts it right from wherever
//! it was cut off is shown by the random worlds of [`crate::testing`].

use crate::executor::{Answer, Executed, StopReason};
use crate::http::ErrorKind;
use crate::model::{
    Address, ChangeOutcome, Command, Desired, FullPath, GroupId, Known, Outcome, OutcomeSummary, ProjectId, Role,
    Visibility,
};
use crate::planner::fixture::{desired, patterns, project, strings};
use crate::secrets::Secret;
use crate::state::render;
use crate::testing::{ADMIN, Fault, How, World, at, in_turn};

/// Answered with a refusal, and not carried out.
const REFUSED: Fault = Fault::Fail {
    kind: ErrorKind::Forbidden,
    processed: false,
};

fn path(text: &str) -> FullPath {
    FullPath::new(text)
}

fn repository(number: u64) -> Address {
    Address::Repository(path(&format!("a/r{number:04}")))
}

/// A world with so many groups and repositories, and the declaration that wants the droid in all of them.
fn estate(groups: u64, repositories: u64) -> (World, Desired) {
    let world = World::new();
    let mut declared = desired();
    declared.memberships.clear();
    declared.repositories.enable = patterns(["a/**"]);
    let mut sides = world.get();
    sides.admin_session = true;
    sides.groups.insert(path("a"), GroupId(500));
    for number in 0..groups {
        let group = path(&format!("g{number:03}"));
        sides.groups.insert(group.clone(), GroupId(501 + number));
        declared.memberships.insert(group, Role::Developer.into());
    }
    for number in 0..repositories {
        let id = ProjectId(5000 + number);
        sides
            .projects
            .insert(id, project(id, &format!("a/r{number:04}"), Visibility::Internal));
    }
    drop(sides);
    (world, declared)
}

/// An estate as it is after an apply.
fn converged(groups: u64, repositories: u64) -> (World, Desired) {
    let (world, declared) = estate(groups, repositories);
    let executed = world.apply(&declared, Command::Apply, How::default()).unwrap();
    assert!(is_complete(&executed), "{executed:#?}");
    (world, declared)
}

/// The application has to be made anew, and Factory moved over to it.
fn to_replace() -> (World, Desired) {
    let (world, mut declared) = converged(0, 2);
    world.get().admin_session = false;
    declared.application.redirect_uris = strings(["https://new.example.com/"]);
    (world, declared)
}

fn apply(world: &World, declared: &Desired, how: How) -> Executed {
    world.apply(declared, Command::Apply, how).unwrap()
}

fn is_complete(executed: &Executed) -> bool {
    OutcomeSummary::of(&executed.outcomes).is_complete()
}

fn outcome_of<'a>(executed: &'a Executed, address: &Address) -> &'a ChangeOutcome {
    executed
        .outcomes
        .iter()
        .find(|outcome| &outcome.address == address)
        .unwrap()
}

fn position(log: &[String], name: &str) -> usize {
    log.iter()
        .position(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no `{name}` in {log:#?}"))
}

fn count(log: &[String], prefix: &str) -> usize {
    log.iter().filter(|line| line.starts_with(prefix)).count()
}

#[test]
fn a_first_apply_goes_in_order_and_leaves_no_intent() {
    let (world, declared) = estate(3, 2);
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    assert!(
        executed.outcomes.is_sorted_by_key(|outcome| &outcome.address),
        "outcomes are in the plan's order"
    );
    let sides = world.get();
    let log = sides.log_of_writes();
    let at = |name| position(&log, name);
    assert!(at("create application") < at("save secret"));
    assert!(
        at("save secret") < at("save connection"),
        "the secret store has it before Factory does"
    );
    assert!(at("edit application") < at("save connection"));
    assert!(at("create user") < at("add member"));
    assert!(at("save connection") < at("start authorization"));
    assert!(at("finish authorization") < at("set 2 repositories"));
    let record = &sides.record;
    assert!(record.intents.is_empty());
    let secret = sides.integration.as_ref().unwrap().secret.clone();
    let fingerprint = Some(Secret::new(secret).fingerprint("lineage"));
    let application = record.application.as_ref().unwrap();
    assert_eq!(application.fields.trusted, Known::Known(true));
    assert_eq!(application.secret_fingerprint, fingerprint);
    assert_eq!(record.connection.as_ref().unwrap().secret_fingerprint, fingerprint);
    assert_eq!(record.authorization.as_ref().unwrap().secret_fingerprint, fingerprint);
    assert_eq!((record.memberships.len(), record.repositories.len()), (3, 2));
}

#[test]
fn no_secret_is_in_any_record_or_report() {
    let (world, declared) = estate(1, 1);
    let (_, plan) = world.look(&declared, Command::Apply);
    let executed = apply(&world, &declared, How::default());
    let sides = world.get();
    let records = sides.stored.iter().map(|record| render(record).unwrap());
    let mut texts: Vec<String> = records.map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    texts.push(format!("{executed:?}"));
    texts.push(serde_json::to_string(&plan).unwrap());
    assert!(texts.len() > 10);
    assert!(texts.iter().all(|text| !text.contains("canary")));
}

#[test]
fn repositories_go_in_batches_and_every_one_is_recorded() {
    let (world, _) = converged(0, 250);
    let sides = world.get();
    assert_eq!(count(&sides.log, "set "), 3);
    assert_eq!(count(&sides.log, "set 100 repositories"), 2);
    assert_eq!(sides.record.repositories.len(), 250);
    assert!(sides.record.intents.is_empty());
}

#[test]
fn one_refused_repository_leaves_the_others_done() {
    let (world, declared) = estate(0, 3);
    world.get().refused = Some(ProjectId(5001));
    let executed = apply(&world, &declared, How::default());
    let failed = outcome_of(&executed, &repository(1));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(failed.error.as_deref(), Some("Factory refused: no"));
    assert_eq!(OutcomeSummary::of(&executed.outcomes).failed, 1);
    let sides = world.get();
    assert_eq!(sides.record.repositories.len(), 2);
    assert!(sides.record.intents.is_empty());
}

#[test]
fn concurrency_stays_within_its_bound_and_shares_state_writes() {
    let (world, declared) = estate(40, 0);
    let how = How {
        parallelism: 5,
        ..How::default()
    };
    apply(&world, &declared, how);
    let sides = world.get();
    assert!((3..=5).contains(&sides.most_running), "{}", sides.most_running);
    assert_eq!(count(&sides.log, "add member"), 40);
    assert!(
        count(&sides.log, "state") < 70,
        "{} state writes",
        count(&sides.log, "state")
    );
}

#[test]
fn what_depends_on_a_failure_is_skipped_and_the_rest_goes_on() {
    let (world, declared) = estate(2, 2);
    world.get().cut = Some(at("save connection", REFUSED));
    let executed = apply(&world, &declared, How::default());
    let of = |address: Address| outcome_of(&executed, &address).clone();
    assert_eq!(of(Address::Connection).outcome, Outcome::Failed);
    let authorization = of(Address::Authorization);
    assert_eq!(authorization.outcome, Outcome::Skipped);
    assert_eq!(authorization.error.as_deref(), Some("factory.connection failed"));
    assert_eq!(of(repository(0)).outcome, Outcome::Skipped);
    assert_eq!(of(Address::Membership(path("g000"))).outcome, Outcome::Done);
    assert!(world.get().record.intents.is_empty());
}

#[test]
fn a_secret_that_cannot_be_saved_goes_to_factory_and_the_change_says_what_to_do() {
    let (world, declared) = estate(2, 2);
    world.get().store_is_down = true;
    let executed = apply(&world, &declared, How::default());
    let application = outcome_of(&executed, &Address::Application);
    assert_eq!(application.outcome, Outcome::Operator);
    let said = application.error.as_ref().unwrap();
    assert!(
        said.contains("the store is sealed") && said.contains("setpoint rotate"),
        "{said}"
    );
    let left = executed.outcomes.iter().filter(|one| one.outcome != Outcome::Done);
    assert_eq!(left.count(), 1, "{executed:#?}");
    assert!(world.get().connected().is_some());
    // It is known by its fingerprint, and not renewed again.
    let record = &world.get().record.clone();
    assert_eq!(
        record.application.as_ref().unwrap().secret_fingerprint,
        record.connection.as_ref().unwrap().secret_fingerprint
    );
    assert_eq!(world.look(&declared, Command::Apply).1.changes, []);
}

#[test]
fn a_secret_that_neither_the_store_nor_factory_took_is_renewed() {
    let (world, declared) = estate(0, 0);
    world.get().store_is_down = true;
    world.get().cut = Some(at("save connection", REFUSED));
    let executed = apply(&world, &declared, How::default());
    let application = outcome_of(&executed, &Address::Application);
    assert_eq!(application.outcome, Outcome::Failed);
    assert!(
        application
            .error
            .as_ref()
            .unwrap()
            .ends_with("so the next run renews it")
    );
    assert_eq!(
        world.get().record.application.as_ref().unwrap().secret_fingerprint,
        None,
        "a secret that nobody has is not trusted"
    );
    world.get().store_is_down = false;
    assert!(is_complete(&apply(&world, &declared, How::default())));
    assert!(world.get().connected().is_some());
}

#[test]
fn fail_fast_ends_at_the_first_failure() {
    let (world, declared) = estate(2, 0);
    world.get().cut = Some(at("create application", REFUSED));
    let how = How {
        fail_fast: true,
        ..in_turn()
    };
    let summary = OutcomeSummary::of(&apply(&world, &declared, how).outcomes);
    assert_eq!((summary.failed, summary.done), (1, 0));
    assert_eq!(count(&world.get().log, "create user"), 0);
}

#[test]
fn a_blocked_change_does_not_stop_the_rest() {
    let (world, declared) = estate(2, 0);
    world.get().groups.remove(&path("g000"));
    let executed = apply(&world, &declared, How::default());
    let blocked = outcome_of(&executed, &Address::Membership(path("g000")));
    assert_eq!(blocked.outcome, Outcome::Blocked);
    assert!(blocked.error.as_ref().unwrap().contains("g000"), "{blocked:?}");
    let done = executed.outcomes.iter().filter(|one| one.outcome == Outcome::Done);
    assert_eq!(done.count(), executed.outcomes.len() - 1);
}

#[test]
fn a_replacement_deletes_the_old_one_after_all_else() {
    let (world, mut declared) = to_replace();
    declared.memberships.insert(path("platform"), Role::Developer.into());
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    let sides = world.get();
    let log = sides.log_of_writes();
    let delete = position(&log, "delete application");
    assert!(position(&log, "finish authorization") < delete && position(&log, "add member") < delete);
    assert_eq!(sides.apps.len(), 1);
    assert!(sides.record.superseded.is_empty());
    assert!(sides.stored.iter().any(|record| record.superseded.len() == 1));
}

#[test]
fn a_replacement_keeps_the_old_one_while_factory_has_not_moved() {
    let (world, declared) = to_replace();
    let old = world.get().apps[0].clone();
    world.get().consents_as = Some(ADMIN);
    let executed = apply(&world, &declared, How::default());
    let authorization = outcome_of(&executed, &Address::Authorization);
    assert_eq!(authorization.outcome, Outcome::Failed);
    let error = authorization.error.as_ref().unwrap();
    let droid = world.get().user_named("factory-droid").unwrap().id;
    assert_eq!(
        *error,
        format!("Factory is connected as `root` (user 1) and not as `factory-droid` (user {droid})")
    );
    assert_eq!(outcome_of(&executed, &Address::Application).outcome, Outcome::Skipped);
    let sides = world.get();
    assert_eq!(count(&sides.log, "delete application"), 0);
    assert_eq!(sides.record.superseded.get(&old.id), Some(&old.uid));
    assert_eq!(sides.record.authorization, None);
}

#[test]
fn an_application_that_is_back_in_the_list_is_not_made_again() {
    let (world, declared) = converged(0, 1);
    let lagging = std::mem::take(&mut world.get().apps);
    let (observed, plan) = world.look(&declared, Command::Apply);
    world.get().apps = lagging;
    let executed = world.carry_out(&declared, &observed, &plan, How::default()).unwrap();
    let refused = outcome_of(&executed, &Address::Application);
    assert_eq!(refused.outcome, Outcome::Failed);
    assert!(
        refused.error.as_ref().unwrap().contains("is in GitLab's list again"),
        "{refused:?}"
    );
    let sides = world.get();
    assert_eq!((sides.apps.len(), count(&sides.log, "create application")), (1, 0));
    assert_eq!(sides.record.application.as_ref().unwrap().id, sides.apps[0].id);
}

#[test]
fn a_creation_whose_answer_was_lost_is_adopted_without_its_secret() {
    let (world, declared) = estate(0, 0);
    let lost = Fault::Fail {
        kind: ErrorKind::AnswerLost,
        processed: true,
    };
    world.get().cut = Some(at("create application", lost));
    let executed = apply(&world, &declared, in_turn());
    let failed = outcome_of(&executed, &Address::Application);
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(failed.error.as_ref().unwrap().contains("the next run renews it"));
    let sides = world.get();
    let application = sides.record.application.as_ref().unwrap();
    assert_eq!(application.id, sides.apps[0].id);
    assert_eq!(application.secret_fingerprint, None);
    assert!(sides.record.intents.is_empty());
}

#[test]
fn a_renewal_whose_answer_was_lost_is_remembered_as_unknown() {
    for (kind, unknown) in [(ErrorKind::AnswerLost, true), (ErrorKind::Forbidden, false)] {
        let (world, declared) = converged(0, 0);
        let before = world.get().record.application.clone().unwrap().secret_fingerprint;
        let refused = Fault::Fail { kind, processed: false };
        world.get().cut = Some(at("renew secret", refused));
        let executed = world.apply(&declared, Command::Rotate, How::default()).unwrap();
        assert_eq!(outcome_of(&executed, &Address::Application).outcome, Outcome::Failed);
        let sides = world.get();
        let after = sides.record.application.clone().unwrap().secret_fingerprint;
        assert_eq!(after, before.filter(|_| !unknown));
        assert_eq!(sides.record.intents.is_empty(), !unknown);
    }
}

#[test]
fn an_interrupt_finishes_and_records_what_is_in_flight() {
    let (world, declared) = estate(2, 2);
    world.get().stop_at = Some(("create application", StopReason::Interrupted));
    let executed = apply(&world, &declared, in_turn());
    let application = outcome_of(&executed, &Address::Application);
    assert!(application.error.as_ref().unwrap().contains("interrupted"));
    assert!(executed.outcomes.iter().all(|one| one.outcome == Outcome::Skipped));
    let sides = world.get();
    assert!(sides.record.application.is_some() && sides.record.intents.is_empty());
    assert_eq!(count(&sides.log, "edit application"), 0);
}

#[test]
fn a_closing_window_lets_a_change_finish_and_begins_no_other() {
    let (world, declared) = estate(2, 2);
    world.get().stop_at = Some(("create application", StopReason::WindowClosed));
    let executed = apply(&world, &declared, in_turn());
    assert_eq!(outcome_of(&executed, &Address::Application).outcome, Outcome::Done);
    assert_eq!(OutcomeSummary::of(&executed.outcomes).done, 1);
    let skipped = outcome_of(&executed, &Address::Connection);
    assert_eq!(skipped.error.as_deref(), Some("not begun: the change window ended"));
}

#[test]
fn after_the_end_of_the_window_nothing_begins() {
    let (world, declared) = estate(2, 2);
    let how = How {
        until: Some(std::time::Instant::now()),
        ..in_turn()
    };
    let executed = apply(&world, &declared, how);
    assert!(
        executed.outcomes.iter().all(|one| one.outcome == Outcome::Skipped),
        "{executed:#?}"
    );
    let application = outcome_of(&executed, &Address::Application);
    assert_eq!(application.error.as_deref(), Some("not begun: the change window ended"));
    assert_eq!(world.get().calls, 0);
}

#[test]
fn what_could_not_be_written_is_given_back_as_it_would_have_been() {
    let (world, declared) = estate(2, 2);
    world.get().full_from = Some(2);
    let unwritten = apply(&world, &declared, in_turn()).unwritten.unwrap();
    assert!(unwritten.why.contains("no space"), "{}", unwritten.why);
    assert_eq!(unwritten.record.serial, 2, "one on from what is stored");
    let application = unwritten.record.application.unwrap();
    assert!(application.secret_fingerprint.is_some());
    assert!(world.get().record.application.is_none());

    let (world, declared) = estate(2, 2);
    assert!(apply(&world, &declared, in_turn()).unwritten.is_none());
}

#[test]
fn when_the_record_cannot_be_written_nothing_new_goes_out() {
    let calls_after = |failing_write: usize| {
        let (world, declared) = estate(2, 2);
        world.get().full_from = Some(failing_write);
        let executed = apply(&world, &declared, in_turn());
        let mut failed = executed.outcomes.iter().filter(|one| one.outcome == Outcome::Failed);
        let why = failed.next().unwrap().error.as_ref().unwrap();
        assert!(why.contains("no space") && failed.next().is_none(), "{executed:#?}");
        let log = world.get().log_of_writes();
        log.len() - count(&log, "state")
    };
    assert_eq!(calls_after(1), 0);
    assert_eq!(calls_after(2), 2, "the creation and its secret, and no more");
}

#[test]
fn a_window_that_closes_leaves_nobody_cut_off() {
    let (world, mut declared) = converged(1, 2);
    declared.user.fields.name = "Renamed".to_owned();
    world.get().stop_at = Some(("renew secret", StopReason::WindowClosed));
    let executed = world.apply(&declared, Command::Rotate, in_turn()).unwrap();
    assert!(is_complete(&executed), "{executed:#?}");
    assert!(world.get().connected().is_some());
    // What Factory does not wait for is left.
    let (world, mut declared) = converged(1, 2);
    world.get().admin_session = false;
    declared.application.redirect_uris = strings(["https://new.example.com/"]);
    declared.user.fields.name = "Renamed".to_owned();
    world.get().stop_at = Some(("save connection", StopReason::WindowClosed));
    let executed = apply(&world, &declared, in_turn());
    assert_eq!(outcome_of(&executed, &Address::Authorization).outcome, Outcome::Done);
    assert!(world.get().connected().is_some());
}

/// An estate in which Factory has to be authorized anew, and somebody has renewed the secret.
fn refused() -> (World, Desired) {
    let (world, declared) = converged(1, 2);
    {
        let mut sides = world.get();
        let secret = sides.fresh_secret();
        sides.apps[0].secret = secret;
        sides.integration.as_mut().unwrap().authorized = None;
    }
    (world, declared)
}

fn fallbacks(executed: &Executed) -> Vec<(String, Outcome, u64)> {
    let fallbacks = executed.outcomes.iter().filter(|outcome| outcome.fallback);
    fallbacks
        .map(|one| (one.address.to_string(), one.outcome, one.writes))
        .collect()
}

#[test]
fn a_refused_secret_is_put_right_in_the_same_run() {
    let (world, declared) = refused();
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    let expected = ["gitlab.application", "factory.connection"].map(|address| (address.to_owned(), Outcome::Done, 1));
    assert_eq!(fallbacks(&executed), expected);
    let sides = world.get();
    let log = sides.log_of_writes();
    assert_eq!(count(&log, "finish authorization"), 2);
    let order =
        ["finish authorization", "renew secret", "save secret", "save connection"].map(|name| position(&log, name));
    assert!(order.is_sorted(), "{log:#?}");
    assert!(sides.connected().is_some() && sides.record.intents.is_empty());
    drop(sides);
    assert_eq!(world.look(&declared, Command::Apply).1.changes, []);
}

#[test]
fn a_secret_that_is_at_hand_is_handed_over_again_and_not_renewed() {
    let (world, declared) = converged(1, 2);
    {
        let mut sides = world.get();
        sides.loads = true;
        let integration = sides.integration.as_mut().unwrap();
        (integration.secret, integration.authorized) = ("typed in by somebody".to_owned(), None);
    }
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    assert_eq!(
        fallbacks(&executed),
        [("factory.connection".to_owned(), Outcome::Done, 1)]
    );
    assert_eq!(count(&world.get().log, "renew secret"), 0);
}

#[test]
fn what_was_not_planned_for_a_refused_secret_is_not_done() {
    let (world, declared) = refused();
    let (observed, mut plan) = world.look(&declared, Command::Apply);
    for change in &mut plan.changes {
        change.fallback = None;
    }
    let executed = world.carry_out(&declared, &observed, &plan, How::default()).unwrap();
    let failed = outcome_of(&executed, &Address::Authorization);
    assert!(
        failed
            .error
            .as_ref()
            .unwrap()
            .contains("the next apply gives Factory one that works")
    );
    assert_eq!((failed.outcome, failed.writes), (Outcome::Failed, 0));
    assert_eq!(count(&world.get().log, "renew secret"), 0);
    assert!(is_complete(&apply(&world, &declared, How::default())));
}

/// Told to stop while GitLab refuses, nothing is renewed; told so while it is renewed, the next run goes on from there.
#[test]
fn a_run_that_is_to_stop_begins_no_renewal_and_a_begun_one_is_finished_by_the_next() {
    for (at, renewals) in [("finish authorization", 0), ("renew secret", 1), ("save connection", 1)] {
        let (world, declared) = refused();
        world.get().stop_at = Some((at, StopReason::Interrupted));
        let executed = apply(&world, &declared, in_turn());
        assert!(!is_complete(&executed), "{at}");
        assert_eq!(count(&world.get().log, "renew secret"), renewals, "{at}");
        assert!(world.get().record.intents.is_empty(), "{at}");
        let next = world.fork();
        next.get().stop_at = None;
        assert!(is_complete(&apply(&next, &declared, How::default())), "{at}");
        assert!(next.get().connected().is_some(), "{at}");
    }
}

#[test]
fn writes_are_counted_where_a_change_does_not_end() {
    let writes = |executed: &Executed, address: &Address| outcome_of(executed, address).writes;
    // Created, and interrupted before it was edited.
    let (world, declared) = estate(1, 1);
    world.get().stop_at = Some(("create application", StopReason::Interrupted));
    let executed = apply(&world, &declared, in_turn());
    assert_eq!(writes(&executed, &Address::Application), 1);
    assert!(outcome_of(&executed, &Address::Application).is_begun());
    assert_eq!(OutcomeSummary::of(&executed.outcomes).writes, 1);
    // Created, and refused the edit; or the answer lost, and found again; or created, and not recorded.
    for (place, fault, expected) in [
        ("edit application", REFUSED, 1),
        (
            "create application",
            Fault::Fail {
                kind: ErrorKind::AnswerLost,
                processed: true,
            },
            1,
        ),
        ("create application", REFUSED, 0),
    ] {
        let (world, declared) = estate(1, 1);
        world.get().cut = Some(at(place, fault));
        let executed = apply(&world, &declared, in_turn());
        assert_eq!(outcome_of(&executed, &Address::Application).outcome, Outcome::Failed);
        assert_eq!(writes(&executed, &Address::Application), expected, "{place}");
    }
    let (world, declared) = estate(1, 1);
    world.get().full_from = Some(2);
    assert_eq!(writes(&apply(&world, &declared, in_turn()), &Address::Application), 1);
    // Left to a person, who ticks it: made all the same.
    let (world, declared) = estate(1, 1);
    world.get().admin_session = false;
    world.get().otherwise = Answer::Later;
    let executed = apply(&world, &declared, How::default());
    let application = outcome_of(&executed, &Address::Application);
    assert_eq!((application.outcome, application.writes), (Outcome::Operator, 1));
    // A repository that Factory refuses is no write.
    let (world, declared) = estate(0, 2);
    world.get().refused = Some(ProjectId(5001));
    let executed = apply(&world, &declared, How::default());
    let each = [0, 1].map(|number| writes(&executed, &repository(number)));
    assert_eq!(each, [1, 0]);
}

/// An estate of which a person does Factory's half, with these answers and then none.
fn assisted(repositories: u64, answers: &[Answer]) -> (World, Desired) {
    let (world, declared) = estate(1, repositories);
    {
        let mut sides = world.get();
        sides.assisted = true;
        sides.answers = answers.iter().cloned().collect();
        sides.otherwise = Answer::Later;
    }
    (world, declared)
}

fn attested() -> Answer {
    Answer::Attested {
        by: "ada@host.example.com".to_owned(),
    }
}

#[test]
fn a_person_is_asked_in_order_and_the_answers_are_recorded() {
    let (world, declared) = assisted(3, &[attested(), attested(), attested()]);
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    let sides = world.get();
    let prompts: Vec<_> = sides
        .prompts
        .iter()
        .map(|(steps, secret)| (steps[0].as_str(), steps.len(), *secret))
        .collect();
    assert_eq!(
        prompts,
        [
            ("factory.connection", 1, true),
            ("factory.authorization", 1, false),
            ("factory.repository[\"a/r0000\"]", 3, false),
        ]
    );
    let record = &sides.record;
    let secret = Some(Secret::new(&sides.apps[0].secret).fingerprint("lineage"));
    let connection = record.connection.as_ref().unwrap();
    assert_eq!(connection.secret_fingerprint, secret);
    assert_eq!(connection.attested.as_ref().unwrap().by, "ada@host.example.com");
    let authorization = record.authorization.as_ref().unwrap();
    assert_eq!(Some(authorization.user.id), sides.connected());
    assert_eq!(authorization.secret_fingerprint, secret);
    assert_eq!(record.repositories.len(), 3);
    assert!(record.repositories.values().all(|one| one.attested.is_some()));
}

#[test]
fn an_approval_that_gitlab_denies_is_asked_for_again() {
    let (world, declared) = assisted(1, &[attested(), attested(), attested(), Answer::Skipped]);
    world.get().false_claims = 2;
    let executed = apply(&world, &declared, How::default());
    assert_eq!(world.get().prompts.len(), 4);
    assert_eq!(OutcomeSummary::of(&executed.outcomes).operator, 2, "{executed:#?}");
    assert!(world.get().record.authorization.is_none());
}

/// A world whose approval is a person's, who answers so.
fn by_a_person(answers: &[Answer]) -> (World, Desired) {
    let (world, declared) = estate(0, 2);
    {
        let mut sides = world.get();
        sides.person_signs_in = true;
        sides.answers = answers.iter().cloned().collect();
        sides.otherwise = Answer::Later;
    }
    (world, declared)
}

#[test]
fn what_a_person_approves_is_seen_and_the_rest_goes_on_in_the_same_run() {
    let (world, declared) = by_a_person(&[attested()]);
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    let sides = world.get();
    assert_eq!(sides.invitations, [None]);
    assert_eq!(count(&sides.log, "consent"), 0, "Setpoint signs nobody in");
    let authorization = sides.record.authorization.as_ref().unwrap();
    assert_eq!(Some(authorization.user.id), sides.connected());
    assert!(authorization.attested.is_none(), "it was seen");
    assert_eq!(sides.record.repositories.len(), 2);
}

#[test]
fn an_approval_by_anybody_else_is_refused_and_asked_for_again() {
    let (world, declared) = by_a_person(&[attested(), Answer::Quit]);
    world.get().consents_as = Some(ADMIN);
    let executed = apply(&world, &declared, How::default());
    let sides = world.get();
    assert_eq!(sides.invitations.len(), 2);
    let objection = sides.invitations[1].as_deref().unwrap();
    assert!(objection.starts_with("Factory is connected as `"), "{objection}");
    let outcome = outcome_of(&executed, &Address::Authorization);
    assert_eq!(outcome.outcome, Outcome::Operator);
    assert!(outcome.error.as_deref().unwrap().contains(objection), "{outcome:#?}");
    assert_eq!(outcome_of(&executed, &repository(0)).outcome, Outcome::Operator);
    assert!(sides.record.authorization.is_none() && sides.record.repositories.is_empty());
}

#[test]
fn without_a_person_the_address_is_left_and_what_follows_waits() {
    let (world, declared) = by_a_person(&[]);
    let executed = apply(&world, &declared, How::default());
    let outcome = outcome_of(&executed, &Address::Authorization);
    assert_eq!(outcome.outcome, Outcome::Operator);
    let at = outcome.approve_at.as_ref().unwrap();
    assert!(at.url.contains("/oauth/authorize"), "{at:?}");
    let waiting = outcome_of(&executed, &repository(1));
    assert_eq!(
        waiting.error.as_deref(),
        Some("waits for a person to do factory.authorization")
    );
    // The next run goes on from what was approved there meanwhile, and asks nobody.
    {
        let mut sides = world.get();
        let droid = sides.user_named("factory-droid").unwrap().id;
        sides.consent(droid);
    }
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    assert_eq!(world.get().invitations.len(), 1);
}

/// What no program can get through is a person's, although the plan did not know.
#[test]
fn a_sign_in_that_needs_a_person_is_left_to_one_in_the_same_run() {
    for (answer, done) in [(attested(), true), (Answer::Later, false)] {
        let (world, declared) = by_a_person(&[answer]);
        world.get().person_signs_in = false;
        world.get().cut = Some(at(
            "consent",
            Fault::Fail {
                kind: ErrorKind::PersonNeeded,
                processed: false,
            },
        ));
        let executed = apply(&world, &declared, How::default());
        assert_eq!(is_complete(&executed), done, "{executed:#?}");
        let sides = world.get();
        let [Some(why)] = sides.invitations.as_slice() else {
            panic!("{:?}", sides.invitations)
        };
        assert_eq!(sides.record.intents, []);
        if !done {
            let outcome = outcome_of(&executed, &Address::Authorization);
            assert_eq!(outcome.outcome, Outcome::Operator);
            assert!(outcome.error.as_deref().unwrap().contains(why.as_str()), "{outcome:#?}");
            assert!(outcome.approve_at.is_some() && executed.left_to_a_person.is_some());
            assert_eq!(outcome_of(&executed, &repository(0)).outcome, Outcome::Operator);
        }
    }
}

#[test]
fn with_nobody_there_every_step_is_left_for_later() {
    let (world, declared) = assisted(2, &[]);
    let executed = apply(&world, &declared, How::default());
    let summary = OutcomeSummary::of(&executed.outcomes);
    assert_eq!((summary.done, summary.operator), (3, 4), "{executed:#?}");
    assert_eq!(world.get().prompts.len(), 3);
}

#[test]
fn what_follows_a_step_that_was_put_off_is_not_asked_for() {
    let (world, declared) = assisted(2, &[Answer::Skipped]);
    let executed = apply(&world, &declared, How::default());
    assert_eq!(world.get().prompts.len(), 1);
    assert_eq!(OutcomeSummary::of(&executed.outcomes).operator, 4);
    let waiting = outcome_of(&executed, &Address::Authorization);
    assert_eq!(
        waiting.error.as_deref(),
        Some("waits for a person to do factory.connection")
    );
}

#[test]
fn a_tick_by_hand_does_not_hold_up_what_follows() {
    let (world, declared) = estate(0, 1);
    world.get().admin_session = false;
    world.get().otherwise = Answer::Later;
    let executed = apply(&world, &declared, How::default());
    assert_eq!(outcome_of(&executed, &Address::Application).outcome, Outcome::Operator);
    let done = executed.outcomes.iter().filter(|one| one.outcome == Outcome::Done);
    assert_eq!(done.count(), executed.outcomes.len() - 1, "{executed:#?}");
    assert_eq!(
        world.get().record.application.as_ref().unwrap().fields.trusted,
        Known::Known(false)
    );
}

#[test]
fn a_loaded_secret_goes_to_factory_and_a_missing_one_fails() {
    let (world, declared) = converged(0, 0);
    world.get().loads = true;
    world.get().disconnect();
    let (observed, plan) = world.look(&declared, Command::Apply);
    let run = || world.carry_out(&declared, &observed, &plan, How::default()).unwrap();
    let saved = std::mem::take(&mut world.get().saved);
    let executed = run();
    let failed = outcome_of(&executed, &Address::Connection);
    assert_eq!(
        failed.error.as_deref(),
        Some("application.secret.load gives no secret any more")
    );
    assert_eq!(world.get().log_of_writes(), [""; 0]);
    world.get().saved.clone_from(&saved);
    assert!(is_complete(&run()));
    let sides = world.get();
    assert_eq!(sides.integration.as_ref().map(|one| &one.secret), saved.last());
    assert_eq!(count(&sides.log, "renew secret"), 0);
}

#[test]
fn taking_down_is_no_replacement_and_does_not_wait() {
    let (world, declared) = converged(0, 0);
    let executed = world.apply(&declared, Command::Destroy, How::default()).unwrap();
    assert!(is_complete(&executed), "{executed:#?}");
    let log = world.get().log_of_writes();
    assert!(position(&log, "delete connection") < position(&log, "delete application"));
}

#[test]
fn what_an_earlier_replacement_left_behind_goes_last_too() {
    let (world, declared) = to_replace();
    world.get().cut = Some(at("delete application", Fault::Die { processed: false }));
    assert!(world.apply(&declared, Command::Apply, How::default()).is_none());
    world.get().loads = true;
    world.get().disconnect();
    let executed = apply(&world, &declared, How::default());
    assert!(is_complete(&executed), "{executed:#?}");
    let log = world.get().log_of_writes();
    assert_eq!(count(&log, "renew secret"), 0);
    assert!(position(&log, "finish authorization") < position(&log, "delete application"));
}
