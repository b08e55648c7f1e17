use insta::assert_snapshot;

use super::super::fixture::{API, CHECKOUT, Case, STOREFRONT, at, converged, outline, patterns, project, untouched};
use crate::model::{
    Actions, FactoryRepository, FullPath, Known, Origin, ProjectId, Reason, RecordedRepository, Resolution, SourceKind,
    Status, Unlisted, Visibility, WarningCode,
};

fn listed(case: &mut Case, id: ProjectId, path: &str, enabled: bool) {
    let repository = FactoryRepository {
        path: FullPath::new(path),
        enabled,
        archived: false,
    };
    case.list().insert(id, repository);
}

fn exists(case: &mut Case, id: ProjectId, path: &str, visibility: Visibility) {
    case.observed.gitlab.projects.insert(id, project(id, path, visibility));
    case.observed
        .gitlab
        .paths
        .insert(FullPath::new(path), Resolution::Found(SourceKind::Project(id)));
}

#[test]
fn globs_select_what_the_droid_sees_and_nothing_else() {
    let mut case = converged();
    listed(&mut case, STOREFRONT, "web/storefront", false);
    listed(&mut case, ProjectId(9), "platform/new", false);
    let change = case.only_change();
    assert_eq!(change.address.to_string(), "factory.repository[\"platform/new\"]");
    assert_eq!((change.actions, change.origin), (Actions::Create, Origin::Pending));
    // Out of sight: nothing to enable, and no word about it.
    case.list().remove(&ProjectId(9));
    exists(&mut case, ProjectId(9), "web/other", Visibility::Internal);
    case.desired.repositories.enable = patterns(["platform/**", "web/o*"]);
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    assert_eq!(plan.warnings[0].code, WarningCode::PatternMatchesNothing);
}

#[test]
fn archived_ones_match_no_glob_and_are_not_disabled_for_it() {
    let mut case = converged();
    case.desired.repositories.unlisted = Unlisted::Disable;
    case.list().get_mut(&API).unwrap().archived = true;
    assert_eq!(case.plan().changes, []);
    case.list().get_mut(&API).unwrap().enabled = false;
    case.recorded.repositories.remove(&API);
    assert_eq!(case.plan().changes, []);
    // Listed by path they are enabled, and warned of.
    case.desired.repositories.enable = patterns(["platform/**", "platform/api"]);
    let plan = case.plan();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.warnings[0].code, WarningCode::RepositoryArchived);
}

#[test]
fn explicit_paths_that_cannot_be_enabled_say_why() {
    let mut case = converged();
    case.desired.repositories.enable = patterns(["platform/**", "gone/x", "old/y", "web/storefront", "web"]);
    let paths = &mut case.observed.gitlab.paths;
    paths.insert(FullPath::new("gone/x"), Resolution::NotFound);
    let to = FullPath::new("new/y");
    paths.insert(
        FullPath::new("old/y"),
        Resolution::Moved {
            source: SourceKind::Project(ProjectId(8)),
            to,
        },
    );
    paths.insert(
        FullPath::new("web"),
        Resolution::Found(SourceKind::Group(crate::model::GroupId(13))),
    );
    exists(&mut case, STOREFRONT, "web/storefront", Visibility::Private);
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    + factory.repository["gone/x"] Blocked not_found Pending
    + factory.repository["old/y"] Blocked moved Pending
    + factory.repository["web"] Blocked not_found Pending
    + factory.repository["web/storefront"] Blocked not_visible Pending
    "#);
    let note = |address: &str| at(&plan, address).notes[0].clone();
    assert!(note("factory.repository[old/y]").contains("`new/y`"));
    assert!(note("factory.repository[web/storefront]").contains("\"web\" = \"developer\""));
    assert!(note("factory.repository[web]").contains("`web/**`"));
}

#[test]
fn a_moved_repository_is_not_taken_for_unlisted() {
    let mut case = converged();
    case.desired.repositories.enable = patterns(["platform/services/**", "platform/old-api"]);
    case.desired.repositories.unlisted = Unlisted::Disable;
    let to = FullPath::new("platform/api");
    case.observed.gitlab.paths.insert(
        FullPath::new("platform/old-api"),
        Resolution::Moved {
            source: SourceKind::Project(API),
            to,
        },
    );
    let change = case.only_change();
    assert_eq!((change.status, change.reason), (Status::Blocked, Reason::Moved));
}

#[test]
fn a_membership_of_the_same_plan_opens_what_is_below_it() {
    let plan = untouched().plan();
    let enable = at(&plan, "factory.repository[platform/api]");
    assert!(
        enable
            .depends_on
            .contains(&"gitlab.membership[platform]".parse().unwrap())
    );
    assert!(
        !plan
            .changes
            .iter()
            .any(|change| change.address.to_string().contains("storefront"))
    );
}

#[test]
fn what_is_not_listed_stays_or_goes() {
    let mut case = converged();
    listed(&mut case, STOREFRONT, "web/storefront", true);
    assert_eq!(case.plan().changes, []);
    case.desired.repositories.unlisted = Unlisted::Disable;
    let change = case.only_change();
    assert_eq!((change.actions, change.reason), (Actions::Delete, Reason::Unlisted));
    assert_eq!(change.origin, Origin::Unrecorded);
    let recorded = RecordedRepository {
        path: FullPath::new("web/storefront"),
        attested: None,
    };
    case.recorded.repositories.insert(STOREFRONT, recorded);
    assert_eq!(case.only_change().origin, Origin::Pending);
}

#[test]
fn somebody_disabled_one() {
    let mut case = converged();
    case.list().get_mut(&CHECKOUT).unwrap().enabled = false;
    assert_eq!(case.only_change().origin, Origin::Drift);
}

#[test]
fn while_factory_is_not_connected_the_record_counts() {
    let mut case = converged();
    case.observed.factory.repositories = Known::Unknown;
    case.integration().status = crate::model::IntegrationStatus::Error;
    for (id, path) in [(API, "platform/api"), (CHECKOUT, "platform/services/checkout")] {
        exists(&mut case, id, path, Visibility::Private);
    }
    exists(&mut case, ProjectId(9), "platform/new", Visibility::Private);
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ factory.authorization Ready authorization_failed Drift
    + factory.repository["platform/new"] Ready absent Pending <- factory.authorization
    "#);
    // Disconnecting forgets the selection.
    case.observed.factory.integration = None;
    assert_eq!(case.plan().summary.create, 5);
}

#[test]
fn what_excepts_nothing_is_told_and_a_groups_path_is_an_error_that_lets_nothing_through() {
    let mut case = converged();
    case.desired.repositories.except = patterns(["platform/none/**", "platform/checkout"]);
    let messages: Vec<String> = case
        .plan()
        .warnings
        .into_iter()
        .map(|warning| warning.message)
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages.iter().all(|message| message.contains("takes nothing out")),
        "{messages:?}"
    );

    // The group itself was meant: what is enabled stays, and nothing is added.
    let mut case = converged();
    case.desired.repositories.except = patterns(["platform/services"]);
    case.list().get_mut(&CHECKOUT).unwrap().enabled = false;
    let change = case.only_change();
    assert_eq!(change.address.to_string(), "factory.repository[\"platform/services\"]");
    assert_eq!((change.status, change.reason), (Status::Blocked, Reason::NotFound));
    assert!(change.notes[0].contains("`platform/services/**`"), "{:?}", change.notes);
    // As it should have been written.
    case.desired.repositories.except = patterns(["platform/services/**"]);
    assert_eq!(case.plan().changes, []);
    assert_eq!(case.plan().warnings, []);
}

#[test]
fn an_explicit_path_is_no_exception_that_excepts_nothing() {
    let mut case = converged();
    case.desired.repositories.enable = patterns(["platform/**", "web/unseen"]);
    case.desired.repositories.except = patterns(["web/unseen"]);
    assert_eq!(case.plan().warnings, []);
}
