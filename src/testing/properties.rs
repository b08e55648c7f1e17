//! Random worlds: whatever is declared, live and recorded, and wherever an apply is cut off or left without an answer,
//! observing, planning and applying again converges, touches nothing that was not declared, and needs no second round.

use proptest::prelude::*;

use super::execution::{How, in_turn};
use super::faults::{Cut, Fault, at, at_call};
use super::world::{ADMIN, App, Integration, Sides, World};
use crate::http::ErrorKind;
use crate::model::{
    Address, Change, Command, Desired, FullPath, GroupId, Known, MembershipFields, Observed, Outcome, Plan, ProjectId,
    Reason, Role, SourceKind, Status, Unlisted, UserId, UserState,
};
use crate::planner::fixture::{desired, patterns, strings};
use crate::planner::{plan, presume, rebuild};

/// Something that changes a side, the file or the policy.
#[derive(Debug, Clone)]
enum Event {
    DeleteApplications,
    ForeignApplication(bool),
    RenewElsewhere,
    ChangeApplication(u8),
    DeleteDroid,
    DroidState(u8),
    DroidName,
    DroidEmail,
    TakenEmail,
    TakenName(bool),
    Member(u8, u8),
    Disconnect,
    Revoke,
    OtherUser,
    OtherDomain,
    Toggle(u8),
    Archive(u8),
    MoveProject(u8),
    ForgetRecord,
    LoseVault,
    Declare(u8),
    DeclareRepositories(u8),
    DeclareMemberships(u8),
    DeclareUser(u8),
    ToggleSession,
    Load,
    SaveNowhere,
    ToggleScopes,
    KnownScopes(bool),
    Driver,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        Just(Event::DeleteApplications),
        any::<bool>().prop_map(Event::ForeignApplication),
        Just(Event::RenewElsewhere),
        (0..4_u8).prop_map(Event::ChangeApplication),
        Just(Event::DeleteDroid),
        (0..4_u8).prop_map(Event::DroidState),
        Just(Event::DroidName),
        Just(Event::DroidEmail),
        Just(Event::TakenEmail),
        any::<bool>().prop_map(Event::TakenName),
        (0..6_u8, 0..6_u8).prop_map(|(place, level)| Event::Member(place, level)),
        Just(Event::Disconnect),
        Just(Event::Revoke),
        Just(Event::OtherUser),
        Just(Event::OtherDomain),
        (0..6_u8).prop_map(Event::Toggle),
        (0..6_u8).prop_map(Event::Archive),
        (0..6_u8).prop_map(Event::MoveProject),
        Just(Event::ForgetRecord),
        Just(Event::LoseVault),
        (0..6_u8).prop_map(Event::Declare),
        (0..8_u8).prop_map(Event::DeclareRepositories),
        (0..6_u8).prop_map(Event::DeclareMemberships),
        (0..4_u8).prop_map(Event::DeclareUser),
        Just(Event::ToggleSession),
        Just(Event::Load),
        Just(Event::SaveNowhere),
        Just(Event::ToggleScopes),
        any::<bool>().prop_map(Event::KnownScopes),
        Just(Event::Driver),
    ];
    prop::collection::vec(event, 0..6)
}

struct Run {
    world: World,
    desired: Desired,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(),
            desired: desired(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each event")]
    fn happen(&mut self, event: &Event) {
        let sides = &mut *self.world.get();
        let droid = sides
            .user_named(&self.desired.user.fields.username)
            .map(|user| user.id)
            .filter(|id| *id != ADMIN);
        sides.meddled();
        match event {
            Event::DeleteApplications => sides.delete_apps(|_| true),
            Event::ForeignApplication(same_name) => {
                let mut declared = self.desired.application.clone();
                if !same_name {
                    declared.name = "Somebody else's".to_owned();
                }
                declared.redirect_uris = strings(["https://elsewhere.example.com/"]);
                sides.create_app(&declared);
            }
            Event::RenewElsewhere => {
                let secret = sides.fresh_secret();
                if let Some(app) = sides.apps.last_mut() {
                    app.secret = secret;
                }
            }
            Event::ChangeApplication(which) => {
                if let Some(app) = sides.apps.last_mut() {
                    match which {
                        0 => app.declared.name.push('x'),
                        1 => app.declared.redirect_uris = strings(["https://x.example.com/"]),
                        2 => app.declared.confidential = !app.declared.confidential,
                        _ => app.declared.trusted = flipped(app.declared.trusted),
                    }
                }
            }
            Event::DeleteDroid => {
                if let Some(id) = droid {
                    sides.delete_user(id);
                }
            }
            Event::DroidState(state) => {
                if let Some(id) = droid {
                    sides.users.get_mut(&id).unwrap().state = match state {
                        0 => UserState::Active,
                        1 => UserState::Blocked,
                        2 => UserState::Deactivated,
                        _ => UserState::Banned,
                    };
                }
            }
            Event::DroidName => {
                if let Some(id) = droid {
                    sides.users.get_mut(&id).unwrap().fields.name.push('x');
                }
            }
            Event::DroidEmail => {
                if let Some(id) = droid {
                    let email = &mut sides.users.get_mut(&id).unwrap().fields.email;
                    *email = format!("{email}x").into();
                }
            }
            Event::TakenEmail => {
                let other = other_user(sides);
                sides
                    .users
                    .get_mut(&other)
                    .unwrap()
                    .fields
                    .email
                    .clone_from(&self.desired.user.fields.email);
                if let Some(id) = droid {
                    sides.users.get_mut(&id).unwrap().fields.email = "free@example.com".into();
                }
            }
            Event::TakenName(by_group) => {
                if droid.is_none() && *by_group {
                    sides
                        .groups
                        .insert(FullPath::new(&*self.desired.user.fields.username), GroupId(99));
                }
            }
            Event::Member(place, level) => {
                if let Some(id) = droid {
                    let source = place_of(sides, *place);
                    let level = [0, 10, 15, 20, 30, 50][usize::from(*level)];
                    if level == 0 {
                        sides.members.remove(&(id, source));
                    } else {
                        sides
                            .members
                            .insert((id, source), Role::from_access_level(level).into());
                    }
                }
            }
            Event::Disconnect => {
                sides.disconnect();
            }
            Event::Revoke => {
                sides.grants.clear();
            }
            Event::OtherUser => {
                let other = other_user(sides);
                if sides.integration.is_some() {
                    sides.consent(other);
                }
            }
            Event::OtherDomain => {
                if let Some(integration) = &mut sides.integration {
                    integration.domain = "https://other.example.com".into();
                }
            }
            Event::Toggle(project) => {
                let id = ProjectId(101 + u64::from(*project));
                if sides.integration.is_some() && !sides.enabled.remove(&id) {
                    sides.enabled.insert(id);
                }
            }
            Event::Archive(project) => {
                let id = ProjectId(101 + u64::from(*project));
                let archived = &mut sides.projects.get_mut(&id).unwrap().archived;
                *archived = !*archived;
            }
            Event::MoveProject(project) => {
                let id = ProjectId(101 + u64::from(*project));
                let project = sides.projects.get_mut(&id).unwrap();
                let to = FullPath::new(format!("{}-new", project.path));
                sides.moved.insert(std::mem::replace(&mut project.path, to), id);
            }
            Event::ForgetRecord => {
                sides.forget_record();
            }
            Event::LoseVault => sides.saved.clear(),
            Event::ToggleSession => {
                sides.admin_session = !sides.admin_session;
            }
            Event::Load => (sides.saves, sides.loads) = (true, true),
            Event::Driver => {
                sides.assisted = !sides.assisted;
            }
            Event::SaveNowhere => sides.saves = sides.loads,
            Event::ToggleScopes => sides.shows_scopes = !sides.shows_scopes,
            Event::KnownScopes(all) => {
                let known = if *all {
                    strings(["api", "read_user", "read_api"])
                } else {
                    strings(["api"])
                };
                sides.supported_scopes = Known::Known(known);
            }
            declared => declare(&mut self.desired, declared),
        }
    }

    fn look(&self, command: Command) -> (Observed, Plan) {
        let (observed, made) = self.world.look(&self.desired, command);
        let policy = self.world.policy(command);
        let record = self.world.get().record.clone();
        let mut shuffled = observed.clone();
        shuffled.gitlab.applications.reverse();
        shuffled.gitlab.memberships.reverse();
        let again = plan(&self.desired, &shuffled, &record, &policy);
        assert_eq!(made, again, "not deterministic, or the order of the input matters");
        (observed, made)
    }

    /// Makes a record from what is live, as `state rebuild` does.
    fn rebuild(&self) {
        let (observed, _) = self.look(Command::Drift);
        let mut record = self.world.get().record.clone();
        presume(&self.desired, &observed, &mut record, None);
        self.world.get().record = record;
        let (observed, plan) = self.look(Command::Drift);
        let rebuilt = rebuild(&self.desired, &observed, &self.world.get().record, &plan);
        self.world.get().record = rebuilt;
    }

    /// An apply at which nothing goes wrong. What the plan calls ready has to succeed, also where GitLab refuses the secret
    /// that Factory has, and nobody could know before; but where the application itself is blocked, the next plan knows.
    fn apply(&self, command: Command) -> Plan {
        let (observed, plan) = self.look(command);
        let executed = self.world.carry_out(&self.desired, &observed, &plan, How::default());
        let refused = self.finds_secret_refused();
        let is_blocked = |change: &Change| change.address == Address::Application && change.status == Status::Blocked;
        assert!(
            !refused || plan.changes.iter().any(is_blocked),
            "it takes a second apply: {plan:#?}"
        );
        for (change, ended) in plan.changes.iter().zip(executed.unwrap().outcomes) {
            let held_up = change.status == Status::Blocked || waits_for_blocked(&plan, change);
            let awaits_factory = change.address == Address::Application && ended.outcome == Outcome::Skipped;
            let right = match ended.outcome {
                Outcome::Done => true,
                Outcome::Failed => refused && change.address == Address::Authorization,
                _ => held_up || awaits_factory || refused,
            };
            assert!(right, "{ended:?} of {plan:#?}");
        }
        plan
    }

    fn finds_secret_refused(&self) -> bool {
        let sides = self.world.get();
        let connection = sides.record.connection.as_ref();
        let refused = connection.is_some_and(|connection| connection.secret_refused);
        let could_know = sides.loads && !sides.saved.is_empty();
        assert!(!refused || !could_know, "the secret could have been checked");
        refused
    }

    /// An apply at which something goes wrong; whether it got that far.
    fn apply_until(&self, command: Command, cut: &Cut, how: How) -> bool {
        let (observed, plan) = self.look(command);
        self.world.get().cut = Some(cut.clone());
        self.world.carry_out(&self.desired, &observed, &plan, how);
        self.world.get().met_cut
    }

    /// Whatever has happened, an apply converges: no second one is needed.
    fn converge(&self) {
        // What somebody enabled or disabled shows only once Factory is connected as the droid, and once it sees it.
        let unlisted = self.desired.repositories.unlisted;
        let shows_more = |change: &Change| match change.address {
            Address::Authorization => true,
            Address::Membership(_) => unlisted == Unlisted::Disable,
            _ => false,
        };
        let first = self.apply(Command::Apply);
        if self.finds_secret_refused() {
            self.apply(Command::Apply);
        }
        if first.changes.iter().any(shows_more) {
            self.apply(Command::Apply);
        }
        let before = self.world.get().writes;
        let left = self.apply(Command::Apply);
        let ready: Vec<_> = left
            .changes
            .iter()
            .filter(|change| change.status != Status::Blocked)
            .filter(|change| !waits_for_blocked(&left, change))
            .collect();
        assert!(ready.is_empty(), "left after an apply: {ready:#?}");
        let sides = self.world.get();
        assert_eq!(before, sides.writes, "a second apply writes: {:?}", sides.log);
    }

    /// Does again what went wrong, and finds everything in its place: one application, whose secret Factory has and
    /// nobody has lost; or nothing at all.
    fn finish(&self, command: Command) {
        if command != Command::Apply {
            self.apply(command);
        }
        if command == Command::Destroy {
            assert_eq!(self.look(command).1.changes, []);
            let sides = self.world.get();
            assert!(sides.apps.is_empty() && sides.integration.is_none());
            return;
        }
        self.converge();
        let sides = self.world.get();
        let [app] = sides.apps.as_slice() else {
            panic!("one application is left: {:?}", sides.apps)
        };
        assert_eq!(
            Some(&app.secret),
            sides.integration.as_ref().map(|integration| &integration.secret)
        );
        // One that could not be saved is not renewed for that.
        assert!(sides.unsaved || Some(&app.secret) == sides.saved.last());
    }
}

impl Run {
    /// GitLab's applications with their secrets, and what Factory has.
    fn integration(&self) -> (Vec<App>, Option<Integration>) {
        let sides = self.world.get();
        (sides.apps.clone(), sides.integration.clone())
    }
}

/// What leaves an integration at work, and differs from the file. Of a Factory that cannot be asked, the name alone tells
/// which application is its own.
fn leaves_it_at_work(event: &Event, assisted: bool) -> bool {
    match event {
        Event::ChangeApplication(0) | Event::Declare(0) => !assisted,
        Event::ChangeApplication(_)
        | Event::DroidName
        | Event::DroidEmail
        | Event::Member(..)
        | Event::OtherUser
        | Event::OtherDomain
        | Event::Toggle(_)
        | Event::Archive(_)
        | Event::LoseVault
        | Event::Declare(_)
        | Event::DeclareRepositories(_)
        | Event::DeclareMemberships(_)
        | Event::DeclareUser(0 | 1)
        | Event::ToggleSession
        | Event::Load
        | Event::SaveNowhere
        | Event::ToggleScopes => true,
        Event::DeleteApplications
        | Event::ForeignApplication(_)
        | Event::RenewElsewhere
        | Event::DeleteDroid
        | Event::DroidState(_)
        | Event::TakenEmail
        | Event::TakenName(_)
        | Event::Disconnect
        | Event::Revoke
        | Event::MoveProject(_)
        | Event::ForgetRecord
        | Event::DeclareUser(_)
        | Event::KnownScopes(_)
        | Event::Driver => false,
    }
}

fn flipped(trusted: Known<bool>) -> Known<bool> {
    Known::Known(trusted != Known::Known(true))
}

fn declare(desired: &mut Desired, event: &Event) {
    match event {
        Event::Declare(which) => match which {
            0 => desired.application.name = "Renamed".to_owned(),
            1 => desired.application.scopes = Known::Known(strings(["api"])),
            2 => desired.application.trusted = flipped(desired.application.trusted),
            3 => desired.application.redirect_uris = strings(["https://new.example.com/"]),
            4 => desired.connection.domain = "https://git.example.com".into(),
            _ => desired.repositories.unlisted = Unlisted::Disable,
        },
        Event::DeclareRepositories(which) => {
            desired.repositories.enable = match which {
                0 => patterns([]),
                1 => patterns(["platform/api", "web/journal"]),
                2 => patterns(["**"]),
                3 => patterns(["web/*", "hidden/vault"]),
                4 => patterns(["platform/services/**", "platform/**", "none/**"]),
                5 => patterns(["platform/archive/old", "web/storefront", "nowhere/at-all", "platform"]),
                6 => {
                    desired.repositories.except = patterns(["platform/services/**"]);
                    patterns(["platform/**"])
                }
                _ => patterns(["platform/**", "web/storefront"]),
            };
        }
        Event::DeclareMemberships(which) => {
            let path = FullPath::new;
            let ending = MembershipFields {
                expires_at: Some("2036-12-31".parse().unwrap()),
                ..Role::Developer.into()
            };
            desired.memberships = match which {
                0 => [].into(),
                1 => [
                    (path("platform"), Role::Reporter.into()),
                    (path("web"), Role::Maintainer.into()),
                ]
                .into(),
                2 => [
                    (path("platform"), Role::Maintainer.into()),
                    (path("platform/services"), ending),
                ]
                .into(),
                3 => [
                    (path("web/storefront"), Role::Developer.into()),
                    (path("nowhere"), Role::Guest.into()),
                ]
                .into(),
                4 => [(path("web/journal"), ending), (path("hidden"), Role::Owner.into())].into(),
                _ => [(path("platform/services/checkout"), Role::Planner.into())].into(),
            };
        }
        Event::DeclareUser(which) => match which {
            0 => desired.user.fields.name = "Droid".to_owned(),
            1 => desired.user.fields.email = "other@example.com".into(),
            2 => {
                let old = std::mem::replace(&mut desired.user.fields.username, "new-droid".into());
                desired.user.previously = vec![old.to_string()];
            }
            _ => desired.user.fields.username = "root".into(),
        },
        _ => unreachable!(),
    }
}

fn waits_for_blocked(plan: &Plan, change: &Change) -> bool {
    change.depends_on.iter().any(|address| {
        plan.changes.iter().any(|parent| {
            parent.address == *address && (parent.status == Status::Blocked || waits_for_blocked(plan, parent))
        })
    })
}

fn other_user(sides: &mut Sides) -> UserId {
    let id = UserId(50);
    if !sides.users.contains_key(&id) {
        let mut other = sides.users[&ADMIN].clone();
        other.id = id;
        other.fields.username = "somebody".into();
        other.fields.email = "somebody@example.com".into();
        sides.users.insert(id, other);
    }
    id
}

fn place_of(sides: &Sides, place: u8) -> SourceKind {
    let groups: Vec<_> = sides.groups.values().copied().collect();
    match place {
        5 => SourceKind::Project(ProjectId(104)),
        place => SourceKind::Group(groups[usize::from(place) % groups.len()]),
    }
}

/// Few enough for everyday; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    config.failure_persistence = None;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_apply_converges_whatever_happened(first in events(), second in events()) {
        let mut run = Run::new();
        for event in &first {
            run.happen(event);
        }
        run.converge();
        for event in &second {
            run.happen(event);
        }
        run.converge();
    }

    /// Made by hand, and nobody kept a record: nothing of it is renewed, replaced or approved anew before it is adopted,
    /// whatever differs and wherever a run is cut off; and an adoption that is cut off is done again.
    #[test]
    fn what_was_made_by_hand_is_adopted_and_never_renewed_unasked(
        others in events(),
        assisted in any::<bool>(),
        loads in any::<bool>(),
        cut in cut(),
        processed in any::<bool>(),
    ) {
        let mut run = Run::new();
        run.world.get().loads = loads;
        run.converge();
        run.world.get().forget_record();
        run.world.get().assisted = assisted;
        for event in others.iter().filter(|event| leaves_it_at_work(event, assisted)) {
            run.happen(event);
        }
        let made = run.integration();
        run.apply_until(Command::Apply, &cut, How::default());
        run.apply(Command::Apply);
        run.apply(Command::Apply);
        assert_eq!(run.integration(), made, "before it is adopted");
        if run.world.get().record.application.is_none() {
            run.world.adopt(&run.desired, Some(at("state", Fault::Die { processed })));
            assert_eq!(run.world.get().record.application.is_some(), processed);
            if !processed {
                run.world.adopt(&run.desired, None).unwrap();
            }
        }
        assert_eq!(run.integration(), made, "by the adoption");
        if !others.iter().any(|event| leaves_it_at_work(event, assisted)) {
            let left = run.look(Command::Plan).1.changes;
            let by_person = |change: &Change| assisted && matches!(change.address, Address::Repository(_));
            assert!(left.iter().all(by_person), "{left:#?}");
        }
    }

    /// A record that was lost and is made anew asks for no adoption, whatever differs, and the next apply converges.
    #[test]
    fn a_rebuilt_record_is_enough(first in events(), others in events()) {
        let mut run = Run::new();
        for event in &first {
            run.happen(event);
        }
        run.converge();
        for event in &others {
            run.happen(event);
        }
        run.world.get().forget_record();
        run.rebuild();
        let asked = |change: &Change| change.reason == Reason::AlreadyExists;
        let left = run.look(Command::Plan).1.changes;
        assert!(!left.iter().any(asked), "{left:#?}");
        run.converge();
    }

    #[test]
    fn an_apply_that_went_wrong_anywhere_is_finished_by_the_next(
        first in events(),
        second in events(),
        cuts in prop::collection::vec((cut(), how()), 1..4),
    ) {
        let mut run = Run::new();
        for event in &first {
            run.happen(event);
        }
        run.apply_until(Command::Apply, &cuts[0].0, cuts[0].1);
        run.converge();
        for event in &second {
            run.happen(event);
        }
        for (cut, how) in &cuts {
            run.apply_until(Command::Apply, cut, *how);
        }
        run.converge();
    }
}

fn how() -> impl Strategy<Value = How> {
    (1..5_usize, any::<bool>()).prop_map(|(parallelism, fail_fast)| How {
        parallelism,
        fail_fast,
        ..How::default()
    })
}

fn cut() -> impl Strategy<Value = Cut> {
    (1..40_usize, prop::sample::select(faults())).prop_map(|(call, fault)| at_call(call, fault))
}

fn faults() -> Vec<Fault> {
    let fail = |kind, processed| Fault::Fail { kind, processed };
    vec![
        Fault::Die { processed: false },
        Fault::Die { processed: true },
        fail(ErrorKind::AnswerLost, false),
        fail(ErrorKind::AnswerLost, true),
        fail(ErrorKind::Server(502), false),
        fail(ErrorKind::Unexpected, true),
        fail(ErrorKind::Unreachable, false),
        fail(ErrorKind::Forbidden, false),
    ]
}

/// Every call of a first apply, a replacement, a rotation and a removal: the process ends after it, and something else
/// goes wrong at it, which is another thing at the next call and in the next world.
#[test]
fn every_call_of_every_command_can_go_wrong() {
    let worlds = [
        (false, false, false),
        (false, true, false),
        (true, true, false),
        (false, false, true),
    ];
    for (number, (loads, admin_session, assisted)) in worlds.into_iter().enumerate() {
        let mut run = Run::new();
        {
            let mut sides = run.world.get();
            (sides.loads, sides.admin_session, sides.assisted) = (loads, admin_session, assisted);
        }
        go_wrong(&run, Command::Apply, number);
        run.converge();
        run.desired.application.redirect_uris = strings(["https://new.example.com/"]);
        go_wrong(&run, Command::Apply, number);
        run.converge();
        go_wrong(&run, Command::Rotate, number);
        go_wrong(&run, Command::Destroy, number);
    }
}

/// A command in worlds like this one, cut off once for each of its calls.
fn go_wrong(run: &Run, command: Command, turn: usize) {
    let faults = faults();
    for call in 1.. {
        let died = Fault::Die { processed: true };
        let failed = faults[(turn + call) % faults.len()].clone();
        let met = [died, failed].map(|fault| {
            let run = Run {
                world: run.world.fork(),
                desired: run.desired.clone(),
            };
            let met = run.apply_until(command, &at_call(call, fault), in_turn());
            run.finish(command);
            met
        });
        if met == [false, false] {
            assert!(call > 3, "{call}");
            return;
        }
    }
}
