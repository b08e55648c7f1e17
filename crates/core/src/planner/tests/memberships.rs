use super::super::fixture::{Case, PLATFORM, at, converged};
use crate::model::{
    Actions, FullPath, GroupId, MembershipOperation, ObservedMembership, Operation, Origin, ProjectId, Reason,
    RecordedMembership, Resolution, Role, SourceKind, Status, WarningCode,
};

const SERVICES: SourceKind = SourceKind::Group(GroupId(12));

fn declare(case: &mut Case, path: &str, role: Role, resolution: Resolution) {
    case.desired.memberships.insert(FullPath::new(path), role.into());
    case.observed.gitlab.namespaces.insert(FullPath::new(path), resolution);
}

fn member(case: &mut Case, source: SourceKind, access_level: u64) {
    let fields = Role::from_access_level(access_level).into();
    case.observed
        .gitlab
        .memberships
        .push(ObservedMembership { source, fields });
}

#[test]
fn roles_are_given_and_changed_and_their_origin_told() {
    for (level, recorded, actions, origin) in [
        (None, None, Actions::Create, Origin::Pending),
        (None, Some(Role::Maintainer), Actions::Create, Origin::Drift),
        (Some(30), None, Actions::Update, Origin::Unrecorded),
        (Some(30), Some(Role::Developer), Actions::Update, Origin::Pending),
        (Some(30), Some(Role::Maintainer), Actions::Update, Origin::Drift),
        (Some(5), Some(Role::Reporter), Actions::Update, Origin::Both),
    ] {
        let mut case = converged();
        declare(&mut case, "web", Role::Maintainer, Resolution::Found(SERVICES));
        if let Some(level) = level {
            member(&mut case, SERVICES, level);
        }
        if let Some(role) = recorded {
            let recorded = RecordedMembership {
                source: SERVICES,
                fields: role.into(),
                awaits_approval: false,
            };
            case.recorded.memberships.insert(FullPath::new("web"), recorded);
        }
        let change = case.only_change();
        assert_eq!(
            (change.actions, change.origin),
            (actions, origin),
            "{level:?} {recorded:?}"
        );
    }
}

#[test]
fn paths_that_lead_nowhere_or_elsewhere_are_blocked() {
    let moved = Resolution::Moved {
        source: SourceKind::Project(ProjectId(1)),
        to: FullPath::new("new/place"),
    };
    for (resolution, reason, hint) in [
        (Resolution::NotFound, Reason::NotFound, "`web/x`"),
        (moved, Reason::Moved, "`new/place`"),
    ] {
        let mut case = converged();
        declare(&mut case, "web/x", Role::Developer, resolution);
        let change = case.only_change();
        assert_eq!((change.status, change.reason), (Status::Blocked, reason));
        assert!(change.notes[0].contains(hint), "{:?}", change.notes);
    }
}

#[test]
fn what_a_group_above_gives_already_needs_nothing() {
    let mut case = converged();
    declare(
        &mut case,
        "platform/services",
        Role::Reporter,
        Resolution::Found(SERVICES),
    );
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    assert_eq!(plan.warnings[0].code, WarningCode::MembershipInherited);
    // A higher role is given; an equal one that is there stays, without a word.
    case.desired
        .memberships
        .insert(FullPath::new("platform/services"), Role::Maintainer.into());
    assert_eq!(case.only_change().actions, Actions::Create);
    member(&mut case, SERVICES, 40);
    assert_eq!(case.plan().warnings, []);
    // One that somebody has raised goes down as far as GitLab lets it.
    case.desired
        .memberships
        .insert(FullPath::new("platform/services"), Role::Guest.into());
    let change = case.only_change();
    assert!(matches!(
        change.operations.as_slice(),
        [Operation::Membership(MembershipOperation::Edit { fields, .. })] if fields.role == Role::Developer
    ));
}

#[test]
fn what_was_ours_and_is_declared_no_longer_is_taken_away() {
    let mut case = converged();
    case.desired.memberships.clear();
    let plan = case.plan();
    let change = at(&plan, "gitlab.membership[platform]");
    assert_eq!((change.actions, change.reason), (Actions::Delete, Reason::Unlisted));
    assert_eq!(change.origin, Origin::Pending);
    // What somebody else gave is not ours.
    case.recorded.memberships.clear();
    assert_eq!(case.plan().changes, []);
    // A group that was renamed is the same group.
    let mut case = converged();
    case.desired.memberships.clear();
    declare(&mut case, "renamed", Role::Developer, Resolution::Found(PLATFORM));
    assert_eq!(case.plan().changes, []);
}

#[test]
fn an_end_is_compared_and_told_of_in_time() {
    let day = |text: &str| text.parse::<jiff::civil::Date>().unwrap();
    let mut case = converged();
    let declared = case.desired.memberships.get_mut(&FullPath::new("platform")).unwrap();
    declared.expires_at = Some(day("2027-01-31"));
    let change = case.only_change();
    assert_eq!((change.actions, change.origin), (Actions::Update, Origin::Pending));
    assert_eq!(change.attributes.len(), 1);
    assert_eq!(
        (change.attributes[0].path.as_str(), &change.attributes[0].after),
        ("expires_at", &"2027-01-31".into())
    );
    // As declared; then somebody lets it end earlier, and then never.
    case.observed.gitlab.memberships[0].fields.expires_at = Some(day("2027-01-31"));
    let entry = case.recorded.memberships.get_mut(&FullPath::new("platform")).unwrap();
    entry.fields.expires_at = Some(day("2027-01-31"));
    assert_eq!(case.plan().changes, []);
    for elsewhere in [Some(day("2027-01-02")), None] {
        case.observed.gitlab.memberships[0].fields.expires_at = elsewhere;
        assert_eq!(case.only_change().origin, Origin::Drift, "{elsewhere:?}");
    }
    case.observed.gitlab.memberships[0].fields.expires_at = Some(day("2027-01-31"));
    for (today, warns) in [("2026-12-31", false), ("2027-01-01", true), ("2027-01-30", true)] {
        case.policy.today = Some(day(today));
        let codes: Vec<_> = case.plan().warnings.into_iter().map(|warning| warning.code).collect();
        assert_eq!(codes == [WarningCode::MembershipExpires], warns, "{today}: {codes:?}");
    }
}

/// The repositories of which a plan says that the droid's role there is too low, with that role.
fn too_low(case: &Case) -> Vec<String> {
    let plan = case.plan();
    let low = plan.warnings.iter().filter(|one| one.code == WarningCode::RoleTooLow);
    low.map(|warning| {
        let role = warning.message.split([' ', ',']).nth(5).unwrap();
        format!("{} {role}", warning.address.as_ref().unwrap())
    })
    .collect()
}

#[test]
fn a_role_with_which_a_droid_cannot_push_is_told_of_each_repository() {
    let api = "factory.repository[\"platform/api\"]";
    let checkout = "factory.repository[\"platform/services/checkout\"]";
    assert_eq!(too_low(&converged()), [""; 0]);
    for (level, role) in [
        (5, "minimal_access"),
        (10, "guest"),
        (15, "planner"),
        (20, "reporter"),
        (25, "security_manager"),
    ] {
        let mut case = converged();
        let fields = Role::from_access_level(level).into();
        case.desired.memberships.insert(FullPath::new("platform"), fields);
        case.observed.gitlab.memberships[0].fields = fields;
        assert_eq!(too_low(&case), [format!("{api} {role}"), format!("{checkout} {role}")]);
        // What this plan makes of it counts, and what stays besides.
        let mut raised = case.clone();
        let developer = Role::Developer.into();
        raised.desired.memberships.insert(FullPath::new("platform"), developer);
        assert_eq!(too_low(&raised), [""; 0], "{role}");
        let mut of_one = case.clone();
        member(&mut of_one, SourceKind::Project(ProjectId(101)), 40);
        assert_eq!(too_low(&of_one), [format!("{checkout} {role}")]);
        // So does what an invited group gives, and an administrator needs none.
        let mut invited = case.clone();
        invited.observed.gitlab.roles = [
            (ProjectId(101), Some(Role::Developer)),
            (ProjectId(102), Some(Role::MinimalAccess)),
        ]
        .into();
        assert_eq!(too_low(&invited), [format!("{checkout} {role}")]);
        case.user().is_admin = true;
        assert_eq!(too_low(&case), [""; 0], "{role}");
    }
    // Lowered by the file.
    let mut lowered = converged();
    let reporter = Role::Reporter.into();
    lowered.desired.memberships.insert(FullPath::new("platform"), reporter);
    assert_eq!(
        too_low(&lowered),
        [format!("{api} reporter"), format!("{checkout} reporter")]
    );
    // In none at all: GitLab was asked, or there is nobody yet whom it could be asked of.
    let mut alone = converged();
    alone.desired.memberships.clear();
    alone.observed.gitlab.memberships[0].source = SourceKind::Group(GroupId(99));
    alone.recorded.memberships.clear();
    assert_eq!(too_low(&alone), [""; 0], "nobody asked");
    alone.observed.gitlab.roles = [(ProjectId(101), None)].into();
    assert_eq!(too_low(&alone), [format!("{api} none")]);
}
