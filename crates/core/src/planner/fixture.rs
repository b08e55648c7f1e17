//! Worlds to plan in, derived from a desired state, then edited by the test that needs them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Address, ApplicationFields, ApplicationId, ApplicationOperation, ApplicationUid, Attestation, AuthorizedUser,
    Change, ClosedDoors, Command, Desired, DesiredConnection, DesiredRepositories, DesiredUser, FactoryRepository,
    FactorySource, FullPath, GitlabVersion, GroupId, IntegrationStatus, Intent, KeptKey, Known, Observed,
    ObservedApplication, ObservedFactory, ObservedGitlab, ObservedIntegration, ObservedMembership, ObservedProject,
    ObservedUser, Operation, PathPattern, Plan, Policy, ProjectId, RecordedApplication, RecordedAuthorization,
    RecordedConnection, RecordedMembership, RecordedRepository, RecordedState, RecordedUser, Resolution, Role,
    SecretCheck, SignIn, SourceKind, Unlisted, UserFields, UserId, UserState, Visibility,
};

use super::{check_invariants, plan};

pub const PLATFORM: SourceKind = SourceKind::Group(GroupId(11));
pub const API: ProjectId = ProjectId(101);
pub const CHECKOUT: ProjectId = ProjectId(102);
pub const STOREFRONT: ProjectId = ProjectId(104);
pub const DROID: UserId = UserId(7);
pub const FINGERPRINT: &str = "sha256:1";

/// The arguments of a plan.
#[derive(Debug, Clone)]
pub struct Case {
    pub desired: Desired,
    pub observed: Observed,
    pub recorded: RecordedState,
    pub policy: Policy,
}

impl Case {
    /// The plan, after the checks that every plan has to pass.
    pub fn plan(&self) -> Plan {
        let plan = plan(&self.desired, &self.observed, &self.recorded, &self.policy);
        assert_eq!(check_invariants(&plan), Vec::<String>::new(), "{plan:#?}");
        plan
    }

    /// The one change of the plan.
    pub fn only_change(&self) -> Change {
        let plan = self.plan();
        assert_eq!(plan.changes.len(), 1, "{:#?}", plan.changes);
        plan.changes.into_iter().next().unwrap()
    }

    pub fn application(&mut self) -> &mut ObservedApplication {
        &mut self.observed.gitlab.applications[0]
    }

    pub fn user(&mut self) -> &mut ObservedUser {
        self.observed.gitlab.user.as_mut().unwrap()
    }

    pub fn integration(&mut self) -> &mut ObservedIntegration {
        self.observed.factory.integration.as_mut().unwrap()
    }

    pub fn list(&mut self) -> &mut BTreeMap<ProjectId, FactoryRepository> {
        match &mut self.observed.factory.repositories {
            Known::Known(list) => list,
            Known::Unknown => panic!("no list"),
        }
    }

    pub fn forget(mut self) -> Self {
        self.recorded = RecordedState::empty("lineage", "0.0.0");
        self
    }

    pub fn intent(&mut self, address: Address, operation: Operation) {
        let applications_before = match &operation {
            Operation::Application(ApplicationOperation::Create { .. }) => [ApplicationId(1)].into(),
            _ => BTreeSet::new(),
        };
        self.recorded.intents.push(Intent {
            address,
            operation,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            applications_before,
        });
    }
}

/// The change of an address.
pub fn at<'a>(plan: &'a Plan, address: &str) -> &'a Change {
    let address: Address = address.parse().unwrap();
    plan.changes
        .iter()
        .find(|change| change.address == address)
        .unwrap_or_else(|| panic!("no change of {address}: {:#?}", plan.changes))
}

/// One line for each change: address, actions, status, reason, origin and what it waits for.
pub fn outline(plan: &Plan) -> String {
    outline_of(&plan.changes)
}

/// The same of some changes.
pub fn outline_of(changes: &[Change]) -> String {
    let lines: Vec<String> = changes
        .iter()
        .map(|change| {
            let waits: Vec<String> = change
                .depends_on
                .iter()
                .map(|address| format!(" <- {address}"))
                .collect();
            let waits = waits.concat();
            format!(
                "{} {} {:?} {} {:?}{waits}\n",
                change.actions.symbol(),
                change.address,
                change.status,
                change.reason,
                change.origin,
            )
        })
        .collect();
    lines.concat()
}

pub fn strings<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.into_iter().map(str::to_owned).collect()
}

pub fn patterns<const N: usize>(texts: [&str; N]) -> Vec<PathPattern> {
    texts.into_iter().map(|text| PathPattern::new(text).unwrap()).collect()
}

pub fn attestation() -> Attestation {
    Attestation {
        by: "ada@desk".to_owned(),
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
    }
}

pub fn desired() -> Desired {
    Desired {
        application: ApplicationFields {
            name: "Factory Integration".to_owned(),
            redirect_uris: strings(["https://app.example.com/redirect"]),
            confidential: true,
            scopes: Known::Known(strings(["api", "read_user"])),
            trusted: Known::Known(true),
        },
        user: DesiredUser {
            fields: UserFields {
                username: "factory-droid".into(),
                name: "Factory Droid".to_owned(),
                email: "droid@example.com".into(),
            },
            previously: Vec::new(),
            accept_terms: false,
            second_factor: false,
        },
        memberships: [(FullPath::new("platform"), Role::Developer.into())].into(),
        connection: DesiredConnection {
            domain: "https://gitlab.example.com".into(),
        },
        repositories: DesiredRepositories {
            enable: patterns(["platform/**"]),
            except: Vec::new(),
            unlisted: Unlisted::Keep,
        },
    }
}

pub fn project(id: ProjectId, path: &str, visibility: Visibility) -> ObservedProject {
    ObservedProject {
        id,
        path: FullPath::new(path),
        archived: false,
        pending_deletion: false,
        invited_groups: Known::Unknown,
        visibility,
    }
}

/// Everything as declared, and recorded so. GitLab is of a version that shows neither `trusted` nor scopes.
#[expect(clippy::too_many_lines, reason = "it is a literal")]
pub fn converged() -> Case {
    let desired = desired();
    let uid = ApplicationUid("uid-1".to_owned());
    let application = &desired.application;
    let acts_as = AuthorizedUser {
        id: DROID,
        username: desired.user.fields.username.to_string(),
    };
    let listed = |path: &str, enabled| FactoryRepository {
        path: FullPath::new(path),
        enabled,
        archived: false,
    };
    let recorded_repository = |path: &str| RecordedRepository {
        path: FullPath::new(path),
        attested: None,
    };
    let observed = Observed {
        gitlab: ObservedGitlab {
            version: GitlabVersion {
                major: 18,
                minor: 5,
                text: "18.5.1-ee".to_owned(),
            },
            own_user: UserId(1),
            supported_scopes: Known::Unknown,
            applications: vec![ObservedApplication {
                id: ApplicationId(1),
                uid: uid.clone(),
                fields: ApplicationFields {
                    scopes: Known::Unknown,
                    trusted: Known::Unknown,
                    ..application.clone()
                },
            }],
            user: Some(ObservedUser {
                id: DROID,
                fields: desired.user.fields.clone(),
                state: UserState::Active,
                is_admin: false,
                external: false,
                confirmed: true,
                two_factor: false,
                locked: false,
                last_activity_on: None,
            }),
            username_holder: None,
            email_holder: None,
            namespaces: [(FullPath::new("platform"), Resolution::Found(PLATFORM))].into(),
            displaced: BTreeMap::new(),
            memberships: vec![ObservedMembership {
                source: PLATFORM,
                fields: Role::Developer.into(),
            }],
            enforcing_groups: BTreeSet::new(),
            accounts_are_external: Known::Unknown,
            second_factor_key: KeptKey::NotConfigured,
            terms: Known::Unknown,
            roles: BTreeMap::new(),
            paths: BTreeMap::new(),
            projects: BTreeMap::new(),
            secret: SecretCheck::NotChecked,
            evidence: Known::Unknown,
            closed: ClosedDoors::default(),
        },
        factory: ObservedFactory {
            source: FactorySource::Live,
            integration: Some(ObservedIntegration {
                authorized_at: None,
                domain: desired.connection.domain.clone(),
                application: uid.clone(),
                redirect_uri: None,
                status: IntegrationStatus::Connected,
                detail: None,
                user: Some(acts_as.clone()),
                secret_fingerprint: Known::Unknown,
            }),
            repositories: Known::Known(
                [
                    (API, listed("platform/api", true)),
                    (CHECKOUT, listed("platform/services/checkout", true)),
                ]
                .into(),
            ),
        },
    };
    let mut recorded = RecordedState::empty("lineage", "0.0.0");
    recorded.application = Some(RecordedApplication {
        id: ApplicationId(1),
        uid: uid.clone(),
        fields: application.clone(),
        trusted_attested: None,
        secret_fingerprint: Some(FINGERPRINT.to_owned()),
        secret_at: None,
        adopted: None,
    });
    recorded.user = Some(RecordedUser::new(DROID, desired.user.fields.clone()));
    recorded.memberships.insert(
        FullPath::new("platform"),
        RecordedMembership {
            source: PLATFORM,
            fields: Role::Developer.into(),
            awaits_approval: false,
        },
    );
    recorded.connection = Some(RecordedConnection {
        domain: desired.connection.domain.clone(),
        application: uid.clone(),
        secret_fingerprint: Some(FINGERPRINT.to_owned()),
        secret_refused: false,
        attested: None,
    });
    recorded.authorization = Some(RecordedAuthorization {
        user: acts_as,
        application: uid,
        secret_fingerprint: Some(FINGERPRINT.to_owned()),
        attested: None,
    });
    recorded.repositories = [
        (API, recorded_repository("platform/api")),
        (CHECKOUT, recorded_repository("platform/services/checkout")),
    ]
    .into();
    let mut policy = Policy::new(Command::Plan);
    policy.sign_in = Some(SignIn::Password);
    Case {
        desired,
        observed,
        recorded,
        policy,
    }
}

/// The same world before anything was done: two projects that nobody but their members see.
pub fn untouched() -> Case {
    let mut case = converged().forget();
    let gitlab = &mut case.observed.gitlab;
    gitlab.applications.clear();
    gitlab.user = None;
    gitlab.memberships.clear();
    gitlab.projects = [
        project(API, "platform/api", Visibility::Private),
        project(CHECKOUT, "platform/services/checkout", Visibility::Private),
        project(STOREFRONT, "web/storefront", Visibility::Private),
    ]
    .map(|project| (project.id, project))
    .into();
    case.observed.factory.integration = None;
    case.observed.factory.repositories = Known::Unknown;
    case
}

/// The converged world as it is known where a person has done and attested Factory's half.
pub fn attested() -> Case {
    let mut case = converged();
    case.observed.factory.source = FactorySource::Attested;
    case.integration().secret_fingerprint = Known::Known(FINGERPRINT.to_owned());
    let recorded = &mut case.recorded;
    recorded.connection.as_mut().unwrap().attested = Some(attestation());
    recorded.authorization.as_mut().unwrap().attested = Some(attestation());
    for repository in recorded.repositories.values_mut() {
        repository.attested = Some(attestation());
    }
    case.observed.gitlab.projects = [
        project(API, "platform/api", Visibility::Private),
        project(CHECKOUT, "platform/services/checkout", Visibility::Private),
    ]
    .map(|project| (project.id, project))
    .into();
    case.policy.sign_in = None;
    case
}
