//! Random worlds: whatever is declared, live and recorded, and wherever an apply is cut off, observing, planning and
//! applying again converges, touches nothing that was not declared, and needs no second round.

use proptest::prelude::*;

use super::simulation::{ADMIN, Fuel, Integration, Sim};
use crate::model::{
    Address, Command, Desired, FullPath, GroupId, Known, Plan, Policy, ProjectId, Role, SignIn, SourceKind, Status,
    Unlisted, UserId, UserState,
};
use crate::planner::fixture::{desired, patterns, strings};
use crate::planner::{check_invariants, plan, refresh};

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
        Just(Event::ToggleScopes),
        any::<bool>().prop_map(Event::KnownScopes),
        Just(Event::Driver),
    ];
    prop::collection::vec(event, 0..6)
}

struct Run {
    sim: Sim,
    desired: Desired,
    policy: Policy,
}

impl Run {
    fn new() -> Self {
        let mut policy = Policy::new(Command::Apply);
        policy.sign_in = Some(SignIn::Password);
        policy.allow_replace = true;
        policy.allow_removals = Some(100);
        Self {
            sim: Sim::new(),
            desired: desired(),
            policy,
        }
    }

    fn droid(&self) -> Option<UserId> {
        self.sim
            .users
            .values()
            .find(|user| user.id != ADMIN && user.username.eq_ignore_ascii_case(&self.desired.user.username))
            .map(|user| user.id)
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each event")]
    fn happen(&mut self, event: &Event) {
        let droid = self.droid();
        let sim = &mut self.sim;
        match event {
            Event::DeleteApplications => sim.apps.clear(),
            Event::ForeignApplication(same_name) => {
                let mut declared = self.desired.application.clone();
                if !same_name {
                    declared.name = "Somebody else's".to_owned();
                }
                declared.redirect_uris = strings(["https://elsewhere.example.com/"]);
                sim.create_app(&declared);
            }
            Event::RenewElsewhere => {
                // Only who can load the secret can tell that it is refused.
                sim.loads = true;
                self.policy.can_load_secret = true;
                let secret = sim.fresh_secret();
                if let Some(app) = sim.apps.last_mut() {
                    app.secret = secret;
                }
            }
            Event::ChangeApplication(which) => {
                if let Some(app) = sim.apps.last_mut() {
                    match which {
                        0 => app.declared.name.push('x'),
                        1 => app.declared.redirect_uris = strings(["https://x.example.com/"]),
                        2 => app.declared.confidential = !app.declared.confidential,
                        _ => app.declared.trusted = !app.declared.trusted,
                    }
                }
            }
            Event::DeleteDroid => {
                if let Some(id) = droid {
                    sim.users.remove(&id);
                    sim.members.retain(|(user, _), _| *user != id);
                }
            }
            Event::DroidState(state) => {
                if let Some(id) = droid {
                    sim.users.get_mut(&id).unwrap().state = match state {
                        0 => UserState::Active,
                        1 => UserState::Blocked,
                        2 => UserState::Deactivated,
                        _ => UserState::Banned,
                    };
                }
            }
            Event::DroidName => {
                if let Some(id) = droid {
                    sim.users.get_mut(&id).unwrap().name.push('x');
                }
            }
            Event::DroidEmail => {
                if let Some(id) = droid {
                    sim.users.get_mut(&id).unwrap().email.push('x');
                }
            }
            Event::TakenEmail => {
                let other = other_user(sim);
                sim.users
                    .get_mut(&other)
                    .unwrap()
                    .email
                    .clone_from(&self.desired.user.email);
                if let Some(id) = droid {
                    sim.users.get_mut(&id).unwrap().email = "free@example.com".to_owned();
                }
            }
            Event::TakenName(by_group) => {
                if droid.is_none() && *by_group {
                    sim.groups
                        .insert(FullPath::new(&self.desired.user.username), GroupId(99));
                }
            }
            Event::Member(place, level) => {
                if let Some(id) = droid {
                    let source = place_of(sim, *place);
                    let level = [0, 10, 15, 20, 30, 50][usize::from(*level)];
                    if level == 0 {
                        sim.members.remove(&(id, source));
                    } else {
                        sim.members.insert((id, source), level);
                    }
                }
            }
            Event::Disconnect => {
                sim.integration = None;
                sim.enabled.clear();
            }
            Event::Revoke => {
                if let Some(integration) = &mut sim.integration {
                    integration.broken = true;
                }
            }
            Event::OtherUser => {
                let other = other_user(sim);
                if let Some(integration) = &mut sim.integration {
                    integration.authorized = Some(other);
                }
            }
            Event::OtherDomain => {
                if let Some(Integration { domain, .. }) = &mut sim.integration {
                    *domain = "https://other.example.com".to_owned();
                }
            }
            Event::Toggle(project) => {
                let id = ProjectId(101 + u64::from(*project));
                if sim.integration.is_some() && !sim.enabled.remove(&id) {
                    sim.enabled.insert(id);
                }
            }
            Event::Archive(project) => {
                let id = ProjectId(101 + u64::from(*project));
                let archived = &mut sim.projects.get_mut(&id).unwrap().archived;
                *archived = !*archived;
            }
            Event::MoveProject(project) => {
                let id = ProjectId(101 + u64::from(*project));
                let project = sim.projects.get_mut(&id).unwrap();
                let to = FullPath::new(format!("{}-new", project.path));
                sim.moved.insert(std::mem::replace(&mut project.path, to), id);
            }
            Event::ForgetRecord => {
                sim.recorded = crate::model::RecordedState::empty("lineage", "0.0.0");
            }
            Event::LoseVault => sim.vault = None,
            Event::ToggleSession => {
                sim.admin_session = !sim.admin_session;
                self.policy.admin_session = sim.admin_session;
            }
            Event::Load => {
                sim.loads = true;
                self.policy.can_load_secret = true;
            }
            Event::Driver => {
                sim.attested = !sim.attested;
                self.policy.saves_secret = true;
            }
            Event::ToggleScopes => sim.shows_scopes = !sim.shows_scopes,
            Event::KnownScopes(all) => {
                let known = if *all {
                    strings(["api", "read_user", "read_api"])
                } else {
                    strings(["api"])
                };
                sim.supported_scopes = Known::Known(known);
            }
            declared => self.declare(declared),
        }
    }

    fn declare(&mut self, event: &Event) {
        let desired = &mut self.desired;
        match event {
            Event::Declare(which) => match which {
                0 => desired.application.name = "Renamed".to_owned(),
                1 => desired.application.scopes = strings(["api"]),
                2 => desired.application.trusted = !desired.application.trusted,
                3 => desired.application.redirect_uris = strings(["https://new.example.com/"]),
                4 => desired.connection.domain = "https://git.example.com".to_owned(),
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
                desired.memberships = match which {
                    0 => [].into(),
                    1 => [(path("platform"), Role::Reporter), (path("web"), Role::Maintainer)].into(),
                    2 => [
                        (path("platform"), Role::Maintainer),
                        (path("platform/services"), Role::Developer),
                    ]
                    .into(),
                    3 => [
                        (path("web/storefront"), Role::Developer),
                        (path("nowhere"), Role::Guest),
                    ]
                    .into(),
                    4 => [(path("web/journal"), Role::Developer), (path("hidden"), Role::Owner)].into(),
                    _ => [(path("platform/services/checkout"), Role::Planner)].into(),
                };
            }
            Event::DeclareUser(which) => match which {
                0 => desired.user.name = "Droid".to_owned(),
                1 => desired.user.email = "other@example.com".to_owned(),
                2 => {
                    let old = std::mem::replace(&mut desired.user.username, "new-droid".to_owned());
                    desired.user.previously = vec![old];
                }
                _ => "root".clone_into(&mut desired.user.username),
            },
            _ => unreachable!(),
        }
    }

    fn plan(&self) -> Plan {
        let observed = self.sim.observe(&self.desired);
        let made = plan(&self.desired, &observed, &self.sim.recorded, &self.policy);
        assert_eq!(check_invariants(&made), Vec::<String>::new(), "{made:#?}");
        let again = plan(&self.desired, &observed, &self.sim.recorded, &self.policy);
        assert_eq!(made, again, "not deterministic");
        let mut shuffled = observed.clone();
        shuffled.gitlab.applications.reverse();
        shuffled.gitlab.memberships.reverse();
        let again = plan(&self.desired, &shuffled, &self.sim.recorded, &self.policy);
        assert_eq!(made, again, "the order of the input matters");
        made
    }

    /// Plans and applies, with the refreshed record; true if it was not cut off.
    fn apply(&mut self, fuel: usize) -> bool {
        let plan = self.plan();
        let observed = self.sim.observe(&self.desired);
        self.sim.recorded = refresh(&self.desired, &observed, &self.sim.recorded, &plan);
        self.sim.apply(&plan, Fuel(fuel)).is_ok()
    }

    /// Whatever has happened, an apply converges: no second one is needed.
    fn converge(&mut self) {
        // What somebody enabled or disabled shows only once Factory is connected as the droid, and once it sees it.
        let unlisted = self.desired.repositories.unlisted;
        let shows_more = |change: &crate::model::Change| match change.address {
            Address::Authorization => true,
            Address::Membership(_) => unlisted == Unlisted::Disable,
            _ => false,
        };
        if self.plan().changes.iter().any(shows_more) {
            self.apply(usize::MAX);
        }
        self.apply(usize::MAX);
        let left = self.plan();
        let ready: Vec<_> = left
            .changes
            .iter()
            .filter(|change| change.status != Status::Blocked)
            .filter(|change| !waits_for_blocked(&left, change))
            .collect();
        assert!(ready.is_empty(), "left after an apply: {ready:#?}");
        let before = self.sim.writes;
        self.apply(usize::MAX);
        assert_eq!(before, self.sim.writes, "a second apply writes");
    }
}

fn waits_for_blocked(plan: &Plan, change: &crate::model::Change) -> bool {
    change.depends_on.iter().any(|address| {
        plan.changes.iter().any(|parent| {
            parent.address == *address && (parent.status == Status::Blocked || waits_for_blocked(plan, parent))
        })
    })
}

fn other_user(sim: &mut Sim) -> UserId {
    let id = UserId(50);
    if !sim.users.contains_key(&id) {
        let mut other = sim.users[&ADMIN].clone();
        other.id = id;
        other.username = "somebody".to_owned();
        other.email = "somebody@example.com".to_owned();
        sim.users.insert(id, other);
    }
    id
}

fn place_of(sim: &Sim, place: u8) -> SourceKind {
    let groups: Vec<_> = sim.groups.values().copied().collect();
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

    #[test]
    fn an_interrupted_apply_is_finished_by_the_next(
        first in events(),
        second in events(),
        fuel in prop::collection::vec(0..40_usize, 1..4),
    ) {
        let mut run = Run::new();
        for event in &first {
            run.happen(event);
        }
        run.apply(fuel[0]);
        run.converge();
        for event in &second {
            run.happen(event);
        }
        for fuel in &fuel {
            run.apply(*fuel);
        }
        run.converge();
    }
}

#[test]
fn every_point_of_a_first_apply_and_of_a_replacement_can_be_interrupted() {
    for loads in [false, true] {
        for session in [false, true] {
            for fuel in 0..60 {
                let mut run = Run::new();
                run.sim.loads = loads;
                run.sim.admin_session = session;
                run.policy.can_load_secret = loads;
                run.policy.admin_session = session;
                run.apply(fuel);
                run.converge();
                assert_eq!(run.sim.apps.len(), 1);
                run.desired.application.redirect_uris = strings(["https://new.example.com/"]);
                run.apply(fuel);
                run.converge();
                assert_eq!(run.sim.apps.len(), 1, "one application is left");
                assert_eq!(run.sim.apps[0].secret, run.sim.integration.as_ref().unwrap().secret);
                run.policy.command = Command::Rotate;
                run.apply(fuel);
                run.apply(usize::MAX);
                run.policy.command = Command::Apply;
                run.converge();
                assert_eq!(run.sim.apps[0].secret, run.sim.integration.as_ref().unwrap().secret);
                run.policy.command = Command::Destroy;
                run.apply(fuel);
                run.apply(usize::MAX);
                assert_eq!(run.plan().changes, []);
                assert!(run.sim.apps.is_empty() && run.sim.integration.is_none());
            }
        }
    }
}
