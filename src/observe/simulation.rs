//! A world to try the observer and the planner in: both sides in memory behind the reading traits, counting what is
//! asked, and an execution of plans that can be cut off between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;

use super::{LoadedSecret, Sources, observe};
use crate::executor::attest;
use crate::factory::{AssistedFactory, FactoryRead};
use crate::gitlab::{AdminRead, GitlabRead, OwnUser, ResolvedPaths};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::{
    Actions, Address, ApplicationEdit, ApplicationId, ApplicationOperation, ApplicationRef, ApplicationUid,
    Attestation, AuthorizationOperation, AuthorizedUser, Change, ConnectionOperation, Desired, DesiredApplication,
    FactoryRepository, FactorySource, FullPath, GitlabVersion, GroupId, IntegrationStatus, Intent, Known, MemberRef,
    MembershipOperation, NamespaceKind, Observed, ObservedApplication, ObservedIntegration, ObservedMembership,
    ObservedProject, ObservedUser, Operation, OperatorStep, Plan, ProjectId, RecordedApplication,
    RecordedAuthorization, RecordedConnection, RecordedMembership, RecordedRepository, RecordedState, RecordedUser,
    RepositoryOperation, Resolution, SourceKind, Status, UserId, UserOperation, UserRef, UserState, Visibility,
};
use crate::secrets::Secret;

/// An application with what GitLab does not show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct App {
    pub(crate) id: ApplicationId,
    pub(crate) uid: ApplicationUid,
    pub(crate) declared: DesiredApplication,
    pub(crate) secret: String,
}

/// Factory's integration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Integration {
    pub(crate) domain: String,
    pub(crate) uid: ApplicationUid,
    pub(crate) secret: String,
    pub(crate) authorized: Option<UserId>,
    pub(crate) broken: bool,
}

/// Both sides, the place where the secret is kept, and the state record.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of a test")]
pub(crate) struct Sim {
    pub(crate) groups: BTreeMap<FullPath, GroupId>,
    pub(crate) projects: BTreeMap<ProjectId, ObservedProject>,
    pub(crate) moved: BTreeMap<FullPath, ProjectId>,
    pub(crate) apps: Vec<App>,
    pub(crate) users: BTreeMap<UserId, ObservedUser>,
    pub(crate) members: BTreeMap<(UserId, SourceKind), u64>,
    pub(crate) integration: Option<Integration>,
    pub(crate) enabled: BTreeSet<ProjectId>,
    pub(crate) vault: Option<String>,
    pub(crate) loads: bool,
    pub(crate) shows_scopes: bool,
    pub(crate) supported_scopes: Known<BTreeSet<String>>,
    pub(crate) admin_session: bool,
    /// Factory's half is done and attested by a person.
    pub(crate) attested: bool,
    pub(crate) recorded: RecordedState,
    pub(crate) next_id: u64,
    pub(crate) writes: usize,
    pub(crate) asked: Mutex<BTreeMap<&'static str, usize>>,
}

pub(crate) const ADMIN: UserId = UserId(1);

impl Sim {
    /// A GitLab with some groups and projects, and nothing connected.
    pub(crate) fn new() -> Self {
        let groups = ["platform", "platform/services", "platform/archive", "web", "hidden"];
        let projects = [
            (101, "platform/api", Visibility::Private, false),
            (102, "platform/services/checkout", Visibility::Private, false),
            (103, "platform/archive/old", Visibility::Private, true),
            (104, "web/storefront", Visibility::Private, false),
            (105, "web/blog", Visibility::Internal, false),
            (106, "hidden/vault", Visibility::Private, false),
        ];
        let admin = ObservedUser {
            id: ADMIN,
            username: "root".to_owned(),
            name: "Administrator".to_owned(),
            email: "root@example.com".to_owned(),
            state: UserState::Active,
            is_admin: true,
            confirmed: true,
            two_factor: false,
            locked: false,
            last_activity_on: None,
        };
        Self {
            groups: groups
                .iter()
                .zip(11..)
                .map(|(path, id)| (FullPath::new(path), GroupId(id)))
                .collect(),
            projects: projects
                .map(|(id, path, visibility, archived)| {
                    let project = ObservedProject {
                        id: ProjectId(id),
                        path: FullPath::new(path),
                        archived,
                        pending_deletion: false,
                        visibility,
                    };
                    (project.id, project)
                })
                .into(),
            moved: [(FullPath::new("web/journal"), ProjectId(105))].into(),
            apps: Vec::new(),
            users: [(ADMIN, admin)].into(),
            members: BTreeMap::new(),
            integration: None,
            enabled: BTreeSet::new(),
            vault: None,
            loads: false,
            shows_scopes: false,
            supported_scopes: Known::Unknown,
            admin_session: false,
            attested: false,
            recorded: RecordedState::empty("lineage", "0.0.0"),
            next_id: 1000,
            writes: 0,
            asked: Mutex::new(BTreeMap::new()),
        }
    }

    /// What the observer makes of it.
    pub(crate) fn observe(&self, desired: &Desired) -> Observed {
        let attested = AssistedFactory::new(self.recorded.clone());
        let sources = Sources {
            gitlab: self,
            admin: self.admin_session.then_some(self as &dyn AdminRead),
            droid: None,
            factory: if self.attested { &attested } else { self },
            loaded_secret: match (self.loads, &self.vault) {
                (false, _) => LoadedSecret::NotConfigured,
                (true, None) => LoadedSecret::Nothing,
                (true, Some(secret)) => LoadedSecret::Secret(Secret::new(secret)),
            },
        };
        self.asked.lock().unwrap().clear();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(observe(&sources, desired, &self.recorded)).unwrap()
    }

    /// How many requests the last observation made.
    pub(crate) fn requests(&self) -> usize {
        self.asked.lock().unwrap().values().sum()
    }

    fn ask(&self, what: &'static str) {
        *self.asked.lock().unwrap().entry(what).or_default() += 1;
    }

    fn show(&self, app: &App, page: bool) -> ObservedApplication {
        ObservedApplication {
            id: app.id,
            uid: app.uid.clone(),
            name: app.declared.name.clone(),
            redirect_uris: app.declared.redirect_uris.clone(),
            confidential: app.declared.confidential,
            scopes: (page || self.shows_scopes).then(|| app.declared.scopes.clone()).into(),
            trusted: page.then_some(app.declared.trusted).into(),
        }
    }

    /// Whether Factory's integration works, and as whom.
    fn connected(&self) -> Option<UserId> {
        let integration = self.integration.as_ref()?;
        let user = integration.authorized?;
        let usable = self
            .users
            .get(&user)
            .is_some_and(|user| matches!(user.state, UserState::Active | UserState::Deactivated));
        let accepted = self
            .apps
            .iter()
            .any(|app| app.uid == integration.uid && app.secret == integration.secret);
        (usable && accepted && !integration.broken).then_some(user)
    }

    pub(crate) fn sees(&self, user: UserId, project: &ObservedProject) -> bool {
        project.visibility != Visibility::Private
            || self.members.contains_key(&(user, SourceKind::Project(project.id)))
            || std::iter::successors(project.path.parent(), FullPath::parent).any(|group| {
                self.groups
                    .get(&group)
                    .is_some_and(|id| self.members.contains_key(&(user, SourceKind::Group(*id))))
            })
    }

    pub(crate) fn fresh_secret(&mut self) -> String {
        self.next_id += 1;
        format!("secret-{}", self.next_id)
    }

    pub(crate) fn create_app(&mut self, declared: &DesiredApplication) -> App {
        let secret = self.fresh_secret();
        self.next_id += 1;
        let app = App {
            id: ApplicationId(self.next_id),
            uid: ApplicationUid(format!("uid-{}", self.next_id)),
            declared: DesiredApplication {
                trusted: false,
                ..declared.clone()
            },
            secret,
        };
        self.apps.push(app.clone());
        app
    }
}

#[async_trait]
impl GitlabRead for Sim {
    async fn version(&self) -> Result<GitlabVersion> {
        self.ask("version");
        Ok(GitlabVersion {
            major: 18,
            minor: 5,
            text: "18.5.1-ee".to_owned(),
        })
    }

    async fn own_user(&self) -> Result<OwnUser> {
        self.ask("own_user");
        Ok(OwnUser {
            id: ADMIN,
            username: "root".to_owned(),
            is_admin: true,
        })
    }

    async fn applications(&self) -> Result<Vec<ObservedApplication>> {
        self.ask("applications");
        Ok(self.apps.iter().map(|app| self.show(app, false)).collect())
    }

    async fn user(&self, username: &str) -> Result<Option<ObservedUser>> {
        self.ask("user");
        Ok(self
            .users
            .values()
            .find(|user| user.username.eq_ignore_ascii_case(username))
            .cloned())
    }

    async fn user_with_email(&self, email: &str) -> Result<Option<String>> {
        self.ask("user_with_email");
        Ok(self
            .users
            .values()
            .find(|user| user.email.eq_ignore_ascii_case(email))
            .map(|user| user.username.clone()))
    }

    async fn namespace_holder(&self, name: &str) -> Result<Option<NamespaceKind>> {
        self.ask("namespace_holder");
        let group = self.groups.contains_key(&FullPath::new(name));
        let user = self.users.values().any(|user| user.username.eq_ignore_ascii_case(name));
        Ok(group
            .then_some(NamespaceKind::Group)
            .or(user.then_some(NamespaceKind::User)))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<ObservedMembership>> {
        self.ask("memberships");
        Ok(self
            .members
            .iter()
            .filter(|((member, _), _)| *member == user)
            .map(|((_, source), access_level)| ObservedMembership {
                source: *source,
                access_level: *access_level,
            })
            .collect())
    }

    async fn path_of(&self, _: SourceKind) -> Result<Option<FullPath>> {
        unreachable!("a plan asks for no path by its id")
    }

    async fn resolve(&self, paths: &BTreeSet<FullPath>) -> Result<ResolvedPaths> {
        assert!(!paths.is_empty(), "nothing to resolve");
        for _ in 0..paths.len().div_ceil(50) {
            self.ask("resolve");
        }
        let mut resolved = ResolvedPaths::default();
        for path in paths {
            let project = self.projects.values().find(|project| project.path == *path);
            let resolution = if let Some(group) = self.groups.get(path) {
                Resolution::Found(SourceKind::Group(*group))
            } else if let Some(project) = project {
                resolved.projects.push(project.clone());
                Resolution::Found(SourceKind::Project(project.id))
            } else if let Some(id) = self.moved.get(path) {
                let to = self.projects[id].path.clone();
                Resolution::Moved { id: *id, to }
            } else {
                Resolution::NotFound
            };
            resolved.paths.insert(path.clone(), resolution);
        }
        Ok(resolved)
    }

    async fn projects(&self, below: Option<&FullPath>) -> Result<Vec<ObservedProject>> {
        self.ask("projects");
        if below.is_some_and(|group| !self.groups.contains_key(group)) {
            return Err(Error::new(Side::Gitlab, ErrorKind::NotFound, "GET", "no such group"));
        }
        Ok(self
            .projects
            .values()
            .filter(|project| below.is_none_or(|group| group.contains(&project.path)))
            .cloned()
            .collect())
    }

    async fn supported_scopes(&self) -> Result<Known<BTreeSet<String>>> {
        self.ask("supported_scopes");
        Ok(self.supported_scopes.clone())
    }

    async fn accepts_secret(&self, application: &ApplicationUid, secret: &Secret) -> Result<bool> {
        self.ask("accepts_secret");
        Ok(self
            .apps
            .iter()
            .any(|app| app.uid == *application && app.secret == secret.expose()))
    }
}

#[async_trait]
impl AdminRead for Sim {
    async fn application(&self, id: ApplicationId) -> Result<ObservedApplication> {
        self.ask("admin page");
        Ok(self
            .apps
            .iter()
            .find(|app| app.id == id)
            .map(|app| self.show(app, true))
            .unwrap())
    }
}

#[async_trait]
impl FactoryRead for Sim {
    fn source(&self) -> FactorySource {
        FactorySource::Live
    }

    async fn integration(&self) -> Result<Option<ObservedIntegration>> {
        self.ask("integration");
        let connected = self.connected();
        Ok(self.integration.as_ref().map(|integration| ObservedIntegration {
            domain: integration.domain.clone(),
            application: integration.uid.clone(),
            redirect_uri: None,
            status: match (connected, integration.authorized) {
                (Some(_), _) => IntegrationStatus::Connected,
                (None, Some(_)) => IntegrationStatus::Error,
                (None, None) => IntegrationStatus::Configured,
            },
            detail: None,
            user: integration.authorized.map(|id| AuthorizedUser {
                id,
                username: self
                    .users
                    .get(&id)
                    .map_or_else(String::new, |user| user.username.clone()),
            }),
            secret_fingerprint: Known::Unknown,
        }))
    }

    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>> {
        let seen: Option<BTreeMap<_, _>> = self.connected().map(|user| {
            self.projects
                .values()
                .filter(|project| self.sees(user, project))
                .map(|project| {
                    let listed = FactoryRepository {
                        path: project.path.clone(),
                        enabled: self.enabled.contains(&project.id),
                        archived: project.archived,
                    };
                    (project.id, listed)
                })
                .collect()
        });
        for _ in 0..seen.as_ref().map_or(1, |seen| seen.len().div_ceil(100).max(1)) {
            self.ask("repositories");
        }
        Ok(seen.into())
    }
}

/// How far an execution goes: it is cut off when this runs out. Each request has two points, before and after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fuel(pub(crate) usize);

/// The execution was killed here.
#[derive(Debug)]
pub(crate) struct Killed;

impl Fuel {
    fn burn(&mut self) -> std::result::Result<(), Killed> {
        self.0 = self.0.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }
}

/// What earlier writes of the same run brought into being.
#[derive(Debug, Default)]
struct Made {
    application: Option<(ApplicationId, ApplicationUid)>,
    secret: Option<String>,
    user: Option<UserId>,
}

impl Sim {
    /// Carries a plan out, as the executor does: an intent before each write, the result recorded after it, deletions
    /// of replaced applications at the end. Every write that the plan calls ready has to succeed.
    pub(crate) fn apply(&mut self, plan: &Plan, mut fuel: Fuel) -> std::result::Result<(), Killed> {
        let mut done: BTreeSet<Address> = BTreeSet::new();
        let mut left: Vec<&Change> = plan
            .changes
            .iter()
            .filter(|change| change.status != Status::Blocked)
            .collect();
        let mut last: Vec<(Address, Operation)> = Vec::new();
        let mut made = Made::default();
        while let Some(index) = left
            .iter()
            .position(|change| change.depends_on.iter().all(|address| done.contains(address)))
        {
            let change = left.remove(index);
            for operation in &change.operations {
                let deferred = matches!(operation, Operation::Application(ApplicationOperation::Delete { .. }))
                    && change.actions != Actions::Delete;
                if deferred {
                    last.push((change.address.clone(), operation.clone()));
                } else {
                    self.step(&change.address, operation, &mut made, &mut fuel)?;
                }
            }
            for step in &change.steps {
                fuel.burn()?;
                self.person(step, &made);
            }
            done.insert(change.address.clone());
        }
        let moved = plan
            .changes
            .iter()
            .filter(|change| matches!(change.address, Address::Connection | Address::Authorization))
            .all(|change| done.contains(&change.address));
        for (address, operation) in last.into_iter().filter(|_| moved) {
            self.step(&address, &operation, &mut made, &mut fuel)?;
        }
        Ok(())
    }

    /// A person does a step, and attests it.
    fn person(&mut self, step: &OperatorStep, made: &Made) {
        let (uid, domain) = match step {
            OperatorStep::SetTrusted {
                application, trusted, ..
            } => {
                let (id, uid) = resolve_application(application, made);
                let app = self.apps.iter_mut().find(|app| app.id == id).unwrap();
                app.declared.trusted = *trusted;
                (Some(uid), None)
            }
            OperatorStep::SaveConnection {
                domain, application, ..
            } => (Some(resolve_application(application, made).1), Some(domain)),
            _ => (None, None),
        };
        let newest = self
            .recorded
            .application
            .as_ref()
            .and_then(|application| application.secret_fingerprint.clone());
        if let (Some(uid), Some(domain)) = (&uid, domain) {
            let secret = self.apps.iter().find(|app| app.uid == *uid).unwrap().secret.clone();
            self.integration = Some(Integration {
                domain: domain.clone(),
                uid: uid.clone(),
                secret,
                authorized: None,
                broken: false,
            });
        }
        let droid = made.user.or(self.recorded.user.as_ref().map(|user| user.id));
        if let (OperatorStep::Authorize { .. }, Some(integration)) = (step, &mut self.integration) {
            integration.authorized = droid;
        }
        let attestation = Attestation {
            by: "ada@desk".to_owned(),
            at: "2026-02-03T04:05:06Z".parse().unwrap(),
        };
        let fingerprint = domain.and(newest);
        attest(&mut self.recorded, step, &attestation, uid.as_ref(), fingerprint, droid).unwrap();
    }

    fn step(
        &mut self,
        address: &Address,
        operation: &Operation,
        made: &mut Made,
        fuel: &mut Fuel,
    ) -> std::result::Result<(), Killed> {
        self.recorded.intents.push(Intent {
            address: address.clone(),
            operation: operation.clone(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            applications_before: self.apps.iter().map(|app| app.id).collect(),
        });
        fuel.burn()?;
        self.writes += 1;
        match operation {
            Operation::Application(ApplicationOperation::Create { .. })
            | Operation::Application(ApplicationOperation::Edit { .. })
            | Operation::Application(ApplicationOperation::RenewSecret { .. })
            | Operation::Application(ApplicationOperation::Delete { .. }) => {
                self.application_step(operation, made, fuel)?
            }
            Operation::Connection(ConnectionOperation::Save { .. })
            | Operation::Connection(ConnectionOperation::Delete)
            | Operation::Authorization(AuthorizationOperation::Authorize { .. }) => {
                self.factory_step(operation, made, fuel)?;
            }
            Operation::Repository(RepositoryOperation::Enable { id }) => {
                let user = self.connected().expect("enabled while not connected");
                assert!(self.sees(user, &self.projects[id]), "enabled out of sight");
                self.enabled.insert(*id);
                fuel.burn()?;
                let repository = RecordedRepository {
                    path: self.projects[id].path.clone(),
                    attested: None,
                };
                self.recorded.repositories.insert(*id, repository);
            }
            Operation::Repository(RepositoryOperation::Disable { id }) => {
                self.connected().expect("disabled while not connected");
                self.enabled.remove(id);
                fuel.burn()?;
                self.recorded.repositories.remove(id);
            }
            _ => self.account_step(operation, made, fuel)?,
        }
        let kind = std::mem::discriminant(operation);
        self.recorded
            .intents
            .retain(|intent| intent.address != *address || std::mem::discriminant(&intent.operation) != kind);
        Ok(())
    }

    fn application_step(
        &mut self,
        operation: &Operation,
        made: &mut Made,
        fuel: &mut Fuel,
    ) -> std::result::Result<(), Killed> {
        let fingerprint = |secret: &str| Some(Secret::new(secret).fingerprint("lineage"));
        match operation {
            Operation::Application(ApplicationOperation::Create { application }) => {
                let app = self.create_app(application);
                fuel.burn()?;
                self.vault = Some(app.secret.clone());
                fuel.burn()?;
                if let Some(old) = self.recorded.application.take()
                    && self.apps.iter().any(|app| app.id == old.id)
                {
                    self.recorded.superseded.insert(old.id, old.uid);
                }
                self.recorded.application = Some(RecordedApplication {
                    id: app.id,
                    uid: app.uid.clone(),
                    name: application.name.clone(),
                    redirect_uris: application.redirect_uris.clone(),
                    confidential: application.confidential,
                    scopes: Some(application.scopes.clone()),
                    trusted: Some(false),
                    trusted_attested: None,
                    secret_fingerprint: fingerprint(&app.secret),
                });
                made.application = Some((app.id, app.uid));
                made.secret = Some(app.secret);
            }
            Operation::Application(ApplicationOperation::Edit { application, edit }) => {
                assert!(self.admin_session);
                let (id, _) = resolve_application(application, made);
                let app = self.apps.iter_mut().find(|app| app.id == id).unwrap();
                let ApplicationEdit {
                    name,
                    redirect_uris,
                    trusted,
                    confidential,
                    scopes,
                } = edit.clone();
                let declared = &mut app.declared;
                declared.name = name.unwrap_or(declared.name.clone());
                declared.redirect_uris = redirect_uris.unwrap_or(declared.redirect_uris.clone());
                declared.trusted = trusted.unwrap_or(declared.trusted);
                declared.confidential = confidential.unwrap_or(declared.confidential);
                declared.scopes = scopes.unwrap_or(declared.scopes.clone());
                let declared = declared.clone();
                fuel.burn()?;
                let recorded = self.recorded.application.as_mut().expect("edited without a record");
                recorded.name = declared.name;
                recorded.redirect_uris = declared.redirect_uris;
                recorded.trusted = Some(declared.trusted);
                recorded.confidential = declared.confidential;
                recorded.scopes = Some(declared.scopes);
            }
            Operation::Application(ApplicationOperation::RenewSecret { application }) => {
                let (id, _) = resolve_application(application, made);
                let secret = self.fresh_secret();
                self.apps
                    .iter_mut()
                    .find(|app| app.id == id)
                    .unwrap()
                    .secret
                    .clone_from(&secret);
                fuel.burn()?;
                self.vault = Some(secret.clone());
                fuel.burn()?;
                let recorded = self.recorded.application.as_mut().expect("renewed without a record");
                recorded.secret_fingerprint = fingerprint(&secret);
                made.secret = Some(secret);
            }
            Operation::Application(ApplicationOperation::Delete { id, uid }) => {
                self.apps.retain(|app| app.id != *id || app.uid != *uid);
                fuel.burn()?;
                self.recorded.superseded.remove(id);
                if self.recorded.application.as_ref().is_some_and(|app| app.id == *id) {
                    self.recorded.application = None;
                }
            }
            _ => unreachable!(),
        }
        Ok(())
    }

    fn factory_step(
        &mut self,
        operation: &Operation,
        made: &mut Made,
        fuel: &mut Fuel,
    ) -> std::result::Result<(), Killed> {
        match operation {
            Operation::Connection(ConnectionOperation::Save {
                domain,
                application,
                secret: _,
            }) => {
                let (_, uid) = resolve_application(application, made);
                let secret = made
                    .secret
                    .clone()
                    .or_else(|| self.vault.clone().filter(|_| self.loads))
                    .expect("a secret to hand over");
                let same = self.integration.as_ref().is_some_and(|integration| {
                    integration.domain == *domain && integration.uid == uid && integration.secret == secret
                });
                if !same {
                    self.integration = Some(Integration {
                        domain: domain.clone(),
                        uid: uid.clone(),
                        secret: secret.clone(),
                        authorized: None,
                        broken: false,
                    });
                }
                fuel.burn()?;
                self.recorded.connection = Some(RecordedConnection {
                    domain: domain.clone(),
                    application: uid,
                    secret_fingerprint: Some(Secret::new(secret).fingerprint("lineage")),
                    secret_refused: false,
                    attested: None,
                });
            }
            Operation::Connection(ConnectionOperation::Delete) => {
                self.integration = None;
                self.enabled.clear();
                fuel.burn()?;
                self.recorded.connection = None;
                self.recorded.authorization = None;
                self.recorded.repositories.clear();
            }
            Operation::Authorization(AuthorizationOperation::Authorize { username, .. }) => {
                let user = self
                    .users
                    .values()
                    .find(|user| user.username.eq_ignore_ascii_case(username))
                    .expect("nobody to sign in as")
                    .clone();
                assert_eq!(user.state, UserState::Active, "signed in while blocked");
                let integration = self.integration.as_mut().expect("authorized without a connection");
                integration.authorized = Some(user.id);
                integration.broken = false;
                let uid = integration.uid.clone();
                fuel.burn()?;
                assert!(self.connected().is_some(), "Factory's secret is refused");
                self.recorded.authorization = Some(RecordedAuthorization {
                    user: AuthorizedUser {
                        id: user.id,
                        username: user.username,
                    },
                    application: uid,
                    secret_fingerprint: self
                        .recorded
                        .connection
                        .as_ref()
                        .and_then(|connection| connection.secret_fingerprint.clone()),
                    attested: None,
                });
            }
            _ => unreachable!(),
        }
        Ok(())
    }

    fn account_step(
        &mut self,
        operation: &Operation,
        made: &mut Made,
        fuel: &mut Fuel,
    ) -> std::result::Result<(), Killed> {
        match operation {
            Operation::User(UserOperation::Create { username, name, email }) => {
                assert!(
                    !self
                        .users
                        .values()
                        .any(|user| user.username.eq_ignore_ascii_case(username)
                            || user.email.eq_ignore_ascii_case(email)),
                    "a taken name"
                );
                self.next_id += 1;
                let id = UserId(self.next_id);
                let user = ObservedUser {
                    id,
                    username: username.clone(),
                    name: name.clone(),
                    email: email.clone(),
                    is_admin: false,
                    ..self.users[&ADMIN].clone()
                };
                self.users.insert(id, user);
                fuel.burn()?;
                made.user = Some(id);
                self.record_user(id);
            }
            Operation::User(UserOperation::Edit { id, edit }) => {
                assert_ne!(*id, ADMIN, "our own account");
                let user = self.users.get_mut(id).unwrap();
                user.username = edit.username.clone().unwrap_or(user.username.clone());
                user.name = edit.name.clone().unwrap_or(user.name.clone());
                user.email = edit.email.clone().unwrap_or(user.email.clone());
                fuel.burn()?;
                self.record_user(*id);
            }
            Operation::User(UserOperation::Unblock { id }) | Operation::User(UserOperation::Activate { id }) => {
                assert_ne!(*id, ADMIN, "our own account");
                self.users.get_mut(id).unwrap().state = UserState::Active;
                fuel.burn()?;
            }
            Operation::User(UserOperation::Block { id }) => {
                self.users.get_mut(id).unwrap().state = UserState::Blocked;
                fuel.burn()?;
            }
            Operation::User(UserOperation::Delete { id }) => {
                self.users.remove(id);
                self.members.retain(|(user, _), _| user != id);
                fuel.burn()?;
                self.recorded.user = None;
            }
            Operation::Membership(MembershipOperation::Add { member, role })
            | Operation::Membership(MembershipOperation::Edit { member, role }) => {
                let MemberRef { source, path, user } = member;
                let user = resolve_user(*user, made);
                self.members.insert((user, *source), role.access_level());
                fuel.burn()?;
                let recorded = RecordedMembership {
                    source: *source,
                    role: *role,
                };
                self.recorded.memberships.insert(path.clone(), recorded);
            }
            Operation::Membership(MembershipOperation::Remove { member }) => {
                let user = resolve_user(member.user, made);
                self.members.remove(&(user, member.source));
                fuel.burn()?;
                self.recorded.memberships.remove(&member.path);
            }
            _ => unreachable!(),
        }
        Ok(())
    }

    fn record_user(&mut self, id: UserId) {
        let user = &self.users[&id];
        self.recorded.user = Some(RecordedUser {
            id,
            username: user.username.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
        });
    }
}

fn resolve_application(application: &ApplicationRef, made: &Made) -> (ApplicationId, ApplicationUid) {
    match application {
        ApplicationRef::Existing { id, uid } => (*id, uid.clone()),
        ApplicationRef::Planned => made.application.clone().expect("an application made by this run"),
    }
}

fn resolve_user(user: UserRef, made: &Made) -> UserId {
    match user {
        UserRef::Existing(id) => id,
        UserRef::Planned => made.user.expect("an account made by this run"),
    }
}
