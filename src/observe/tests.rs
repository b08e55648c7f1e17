//! What is asked, and what is not.

use super::simulation::{Fuel, Sim};
use crate::model::{Command, Desired, FullPath, Known, Policy, ProjectId, Role, SignIn, SourceKind, Visibility};
use crate::planner::fixture::{desired, patterns, project};
use crate::planner::{plan, refresh};

/// A world that is as declared, after an apply.
fn converged(desired: &Desired, edit: fn(&mut Sim)) -> Sim {
    let mut sim = Sim::new();
    edit(&mut sim);
    apply(&mut sim, desired);
    sim
}

fn apply(sim: &mut Sim, desired: &Desired) {
    let mut policy = Policy::new(Command::Apply);
    policy.sign_in = Some(SignIn::Password);
    policy.admin_session = sim.admin_session;
    let observed = sim.observe(desired);
    let plan = plan(desired, &observed, &sim.recorded, &policy);
    sim.recorded = refresh(desired, &observed, &sim.recorded, &plan);
    sim.apply(&plan, Fuel(usize::MAX)).unwrap();
}

fn asked(sim: &Sim, desired: &Desired) -> Vec<String> {
    sim.observe(desired);
    sim.asked
        .lock()
        .unwrap()
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect()
}

const ALWAYS: [&str; 7] = [
    "applications 1",
    "integration 1",
    "memberships 1",
    "own_user 1",
    "resolve 1",
    "user 1",
    "version 1",
];

fn always_and(more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = ALWAYS.iter().chain(more).map(|&text| text.to_owned()).collect();
    all.sort();
    all
}

#[test]
fn nothing_to_do_for_a_thousand_repositories_takes_few_requests() {
    let mut desired = desired();
    let many = |sim: &mut Sim| {
        for id in 1000..1995 {
            let path = format!("platform/services/p{id}");
            let project = project(ProjectId(id), &path, Visibility::Private);
            sim.projects.insert(project.id, project);
        }
    };
    let mut sim = converged(&desired, many);
    assert!(sim.enabled.len() > 990);
    assert_eq!(asked(&sim, &desired), always_and(&["repositories 10"]));
    assert!(sim.requests() <= 25);
    // Listed one by one it takes no more.
    let paths: Vec<_> = sim.enabled.iter().map(|id| sim.projects[id].path.to_string()).collect();
    desired.repositories.enable = paths.iter().flat_map(|path| patterns([path.as_str()])).collect();
    assert_eq!(asked(&sim, &desired), always_and(&["repositories 10"]));
    sim.admin_session = true;
    assert_eq!(asked(&sim, &desired), always_and(&["admin page 1", "repositories 10"]));
}

#[test]
fn only_paths_that_factory_does_not_list_are_resolved() {
    let mut desired = desired();
    let sim = converged(&desired, |_| {});
    desired.repositories.enable = patterns(["platform/api", "web/storefront", "web/journal"]);
    assert_eq!(
        asked(&sim, &desired),
        always_and(&["repositories 1"])
            .into_iter()
            .map(|line| line.replace("resolve 1", "resolve 2"))
            .collect::<Vec<_>>()
    );
    let observed = sim.observe(&desired);
    assert_eq!(observed.gitlab.paths.len(), 2);
}

#[test]
fn an_empty_world_is_asked_no_list_that_it_cannot_have() {
    let mut desired = desired();
    desired.repositories.enable = patterns(["platform/**", "platform/services/*"]);
    let asked = asked(&Sim::new(), &desired);
    assert_eq!(
        asked,
        [
            "applications 1",
            "integration 1",
            "namespace_holder 1",
            "own_user 1",
            "projects 1",
            "resolve 1",
            "supported_scopes 1",
            "user 1",
            "user_with_email 1",
            "version 1"
        ]
    );
}

#[test]
fn candidates_are_read_only_where_a_membership_is_new() {
    let mut desired = desired();
    let sim = converged(&desired, |_| {});
    desired.repositories.enable = patterns(["platform/**", "web/**"]);
    desired.memberships.insert(FullPath::new("web"), Role::Developer);
    assert_eq!(asked(&sim, &desired), always_and(&["projects 1", "repositories 1"]));
    let observed = sim.observe(&desired);
    let read: Vec<_> = observed
        .gitlab
        .projects
        .values()
        .map(|project| project.path.as_str())
        .collect();
    assert_eq!(read, ["web/storefront", "web/blog"]);
    // Where no glob reaches, nothing is read.
    desired.repositories.enable = patterns(["platform/**"]);
    assert_eq!(asked(&sim, &desired), always_and(&["repositories 1"]));
    // A glob without a prefix is read below the new group only.
    desired.repositories.enable = patterns(["**/storefront"]);
    let observed = sim.observe(&desired);
    assert_eq!(observed.gitlab.projects.len(), 2);
}

#[test]
fn holders_are_looked_for_only_where_something_would_be_set() {
    let mut desired = desired();
    let sim = converged(&desired, |_| {});
    desired.user.email = "other@example.com".to_owned();
    assert!(asked(&sim, &desired).contains(&"user_with_email 1".to_owned()));
    desired.user.previously = vec![std::mem::replace(&mut desired.user.username, "new".to_owned())];
    let asked = asked(&sim, &desired);
    assert!(asked.contains(&"namespace_holder 1".to_owned()), "{asked:?}");
    assert!(asked.contains(&"user 2".to_owned()), "{asked:?}");
}

#[test]
fn a_loaded_secret_is_checked_once_and_scopes_only_where_they_would_be_set() {
    let mut desired = desired();
    let mut sim = converged(&desired, |sim| sim.shows_scopes = true);
    sim.loads = true;
    assert_eq!(
        asked(&sim, &desired),
        always_and(&["accepts_secret 1", "repositories 1"])
    );
    sim.loads = false;
    desired.application.scopes.insert("read_api".to_owned());
    assert_eq!(
        asked(&sim, &desired),
        always_and(&["repositories 1", "supported_scopes 1"])
    );
}

#[test]
fn a_membership_that_is_not_declared_counts_for_what_the_droid_sees() {
    let mut desired = desired();
    desired.memberships.clear();
    desired.repositories.enable = patterns(["platform/services/checkout"]);
    let mut sim = Sim::new();
    apply(&mut sim, &desired);
    assert!(sim.enabled.is_empty());
    let droid = sim.recorded.user.as_ref().unwrap().id;
    let platform = sim.groups[&FullPath::new("platform")];
    sim.members.insert((droid, SourceKind::Group(platform)), 20);
    sim.integration = None;
    assert_eq!(sim.observe(&desired).factory.repositories, Known::Unknown);
    apply(&mut sim, &desired);
    assert_eq!(sim.enabled, [ProjectId(102)].into());
}
