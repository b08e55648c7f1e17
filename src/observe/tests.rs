//! What is asked, and what is not.

use std::collections::BTreeMap;

use crate::model::{Command, Desired, FullPath, Known, ProjectId, Role, SourceKind, Visibility};
use crate::planner::fixture::{desired, patterns, project};
use crate::testing::{How, Sides, World};

/// A world that is as declared, after an apply.
fn converged(desired: &Desired, edit: fn(&mut Sides)) -> World {
    let world = World::new();
    edit(&mut world.get());
    apply(&world, desired);
    world
}

fn apply(world: &World, desired: &Desired) {
    let executed = world.apply(desired, Command::Apply, How::default());
    assert!(executed.is_some());
}

fn asked(world: &World, desired: &Desired) -> Vec<String> {
    world.observe(desired);
    let mut counts = BTreeMap::new();
    for line in &world.get().log {
        *counts
            .entry(line.strip_prefix("read ").unwrap().to_owned())
            .or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect()
}

const ALWAYS: [&str; 8] = [
    "applications 1",
    "integration 1",
    "memberships 1",
    "own_user 1",
    "resolve 1",
    "terms 1",
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
    let many = |sides: &mut Sides| {
        for id in 1000..1995 {
            let path = format!("platform/services/p{id}");
            let project = project(ProjectId(id), &path, Visibility::Private);
            sides.projects.insert(project.id, project);
        }
    };
    let world = converged(&desired, many);
    assert!(world.get().enabled.len() > 990);
    assert_eq!(asked(&world, &desired), always_and(&["repositories 10"]));
    assert!(world.get().calls <= 35);
    // Listed one by one, those that nobody recorded are asked about as well.
    let paths: Vec<_> = {
        let sides = world.get();
        let path = |id| sides.projects[id].path.to_string();
        sides.enabled.iter().map(path).collect()
    };
    desired.repositories.enable = paths.iter().flat_map(|path| patterns([path.as_str()])).collect();
    assert_eq!(
        asked(&world, &desired),
        always_and(&["projects_by_id 10", "repositories 10"])
    );
    world.get().admin_session = true;
    assert_eq!(
        asked(&world, &desired),
        always_and(&["admin page 1", "projects_by_id 10", "repositories 10", "sign in 1"])
    );
}

#[test]
fn only_paths_that_factory_does_not_list_are_resolved() {
    let mut desired = desired();
    let world = converged(&desired, |_| {});
    desired.repositories.enable = patterns(["platform/api", "web/storefront", "web/journal"]);
    assert_eq!(
        asked(&world, &desired),
        always_and(&["projects_by_id 2", "repositories 1"])
            .into_iter()
            .map(|line| line.replace("resolve 1", "resolve 2"))
            .collect::<Vec<_>>()
    );
    let observed = world.observe(&desired);
    assert_eq!(observed.gitlab.paths.len(), 2);
}

#[test]
fn an_empty_world_is_asked_no_list_that_it_cannot_have() {
    let mut desired = desired();
    desired.repositories.enable = patterns(["platform/**", "platform/services/*"]);
    let asked = asked(&World::new(), &desired);
    assert_eq!(
        asked,
        [
            "applications 1",
            "enforcing_groups 1",
            "integration 1",
            "namespace_holder 1",
            "own_user 1",
            "projects 1",
            "projects_by_id 1",
            "resolve 1",
            "settings 1",
            "supported_scopes 1",
            "terms 1",
            "user 1",
            "user_with_email 1",
            "version 1"
        ]
    );
}

#[test]
fn candidates_are_read_only_where_a_membership_is_new() {
    let mut desired = desired();
    let world = converged(&desired, |_| {});
    desired.repositories.enable = patterns(["platform/**", "web/**"]);
    desired.memberships.insert(FullPath::new("web"), Role::Developer.into());
    let of_the_membership = ["enforcing_groups 1", "membership 1", "repositories 1"];
    assert_eq!(
        asked(&world, &desired),
        always_and(&[
            "enforcing_groups 1",
            "membership 1",
            "projects 1",
            "projects_by_id 1",
            "repositories 1"
        ])
    );
    let observed = world.observe(&desired);
    let read: Vec<_> = observed
        .gitlab
        .projects
        .values()
        .map(|project| project.path.as_str())
        .collect();
    assert_eq!(read, ["web/storefront", "web/blog"]);
    // Where no glob reaches, nothing is read.
    desired.repositories.enable = patterns(["platform/**"]);
    assert_eq!(asked(&world, &desired), always_and(&of_the_membership));
    // A glob without a prefix is read below the new group only.
    desired.repositories.enable = patterns(["**/storefront"]);
    let observed = world.observe(&desired);
    assert_eq!(observed.gitlab.projects.len(), 2);
}

#[test]
fn holders_are_looked_for_only_where_something_would_be_set() {
    let mut desired = desired();
    let world = converged(&desired, |_| {});
    desired.user.fields.email = "other@example.com".into();
    assert!(asked(&world, &desired).contains(&"user_with_email 1".to_owned()));
    desired.user.previously = vec![std::mem::replace(&mut desired.user.fields.username, "new".into()).to_string()];
    let asked = asked(&world, &desired);
    assert!(asked.contains(&"namespace_holder 1".to_owned()), "{asked:?}");
    assert!(asked.contains(&"user 2".to_owned()), "{asked:?}");
}

#[test]
fn a_loaded_secret_is_checked_once_and_scopes_only_where_they_would_be_set() {
    let mut desired = desired();
    let world = converged(&desired, |sides| sides.shows_scopes = true);
    world.get().loads = true;
    assert_eq!(
        asked(&world, &desired),
        always_and(&["accepts_secret 1", "repositories 1"])
    );
    world.get().loads = false;
    desired.application.scopes = Known::Known(["api", "read_api"].map(str::to_owned).into());
    assert_eq!(
        asked(&world, &desired),
        always_and(&["repositories 1", "supported_scopes 1"])
    );
}

#[test]
fn a_membership_that_is_not_declared_counts_for_what_the_droid_sees() {
    let mut desired = desired();
    desired.memberships.clear();
    desired.repositories.enable = patterns(["platform/services/checkout"]);
    let world = World::new();
    apply(&world, &desired);
    {
        let mut sides = world.get();
        assert!(sides.enabled.is_empty());
        let droid = sides.record.user.as_ref().unwrap().id;
        let platform = sides.groups[&FullPath::new("platform")];
        sides
            .members
            .insert((droid, SourceKind::Group(platform)), Role::Reporter.into());
        sides.integration = None;
    }
    assert_eq!(world.observe(&desired).factory.repositories, Known::Unknown);
    apply(&world, &desired);
    assert_eq!(world.get().enabled, [ProjectId(102)].into());
}

/// Only GitLab knows what groups that were invited give. Few projects are asked about one by one; of many, the list of
/// their group tells into which a group was invited.
#[test]
fn a_role_that_is_too_low_in_many_repositories_takes_few_requests() {
    let mut desired = desired();
    desired
        .memberships
        .insert(FullPath::new("platform"), Role::Reporter.into());
    let many = |sides: &mut Sides| {
        for id in 1000..1500 {
            let path = format!("platform/services/p{id}");
            let mut project = project(ProjectId(id), &path, Visibility::Private);
            project.invited_groups = Known::Known(id == 1000);
            sides.projects.insert(project.id, project);
        }
    };
    let few = converged(&desired, |_| {});
    let asked_of = |asked: &[String], what: &str| {
        let line = asked.iter().find(|line| line.starts_with(what));
        line.map(|line| line[what.len()..].trim().parse::<usize>().unwrap())
    };
    let of_few = asked(&few, &desired);
    assert_eq!(asked_of(&of_few, "projects "), None);
    let each = asked_of(&of_few, "role ").unwrap();
    let world = converged(&desired, many);
    let of_many = asked(&world, &desired);
    assert_eq!(asked_of(&of_many, "projects "), Some(1), "{of_many:?}");
    assert_eq!(asked_of(&of_many, "role "), Some(each + 1), "{of_many:?}");
    let roles = world.observe(&desired).gitlab.roles;
    assert!(roles.len() > 500 && roles.values().all(|role| *role == Some(Role::Reporter)));
    // Where the droid itself is a member, there is nothing to ask.
    {
        let mut sides = world.get();
        let droid = sides.record.user.as_ref().unwrap().id;
        let services = sides.groups[&FullPath::new("platform/services")];
        let source = SourceKind::Group(services);
        sides.members.insert((droid, source), Role::Developer.into());
    }
    let of_many = asked(&world, &desired);
    assert_eq!(asked_of(&of_many, "role "), Some(each - 2), "{of_many:?}");
    assert_eq!(asked_of(&of_many, "projects "), None);
}
