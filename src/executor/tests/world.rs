//! Both sides, the store and the person as fakes that share one log, and that can fail or die at any call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use crate::executor::{Answer, Card, Effects, Event, Executed, Operator, Options, SecretVault, Stop, execute};
use crate::factory::{FactoryRead, FactoryWrite};
use crate::gitlab::{AdminWrite, Approval, DroidSession, GitlabRead, GitlabWrite, NewUser, OwnUser, ResolvedPaths};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::*;
use crate::secrets::Secret;
use crate::state::{Holder, LockInfo, StateError, StateStore, render};

/// What becomes of the call of a certain number.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It fails, and was carried out or not.
    Fail { kind: ErrorKind, processed: bool },
    /// The process dies at it, before or after it was carried out.
    Die { processed: bool },
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) log: Vec<String>,
    pub(super) calls: usize,
    pub(super) fault: Option<(usize, Fault)>,
    pub(super) applications: Vec<ObservedApplication>,
    pub(super) user: Option<ObservedUser>,
    pub(super) members: BTreeMap<SourceKind, Role>,
    pub(super) integration: Option<ObservedIntegration>,
    pub(super) held_secret: Option<String>,
    pub(super) repositories: BTreeMap<ProjectId, bool>,
    pub(super) refuse_repository: Option<ProjectId>,
    pub(super) saved: Vec<String>,
    pub(super) save_fails: bool,
    pub(super) authorizes_as: Option<AuthorizedUser>,
    pub(super) stored: Vec<Vec<u8>>,
    pub(super) record: Option<RecordedState>,
    pub(super) store_fails_at: Option<usize>,
    pub(super) answers: Vec<Answer>,
    /// How often GitLab denies an approval before it bears one out.
    pub(super) denials: usize,
    pub(super) asked: Vec<(Vec<String>, bool)>,
    pub(super) stop_after: Option<(&'static str, crate::executor::StopReason)>,
    pub(super) running: usize,
    pub(super) most_running: usize,
    pub(super) secrets: usize,
}

#[derive(Clone, Default)]
pub(super) struct World {
    inner: Arc<Mutex<Inner>>,
    dead: Arc<tokio::sync::Notify>,
    stop: Arc<Stop>,
}

impl World {
    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The names of all calls, reads left out.
    pub(super) fn writes(&self) -> Vec<String> {
        let log = self.get().log.clone();
        log.into_iter().filter(|line| !line.starts_with("read ")).collect()
    }

    async fn die(&self) -> ! {
        self.dead.notify_one();
        std::future::pending().await
    }

    /// One call: counted, logged, and carried out unless a fault forbids it.
    async fn call<T>(&self, name: String, act: impl FnOnce(&mut Inner) -> T) -> Result<T> {
        let fault = {
            let mut inner = self.get();
            inner.calls += 1;
            inner.running += 1;
            inner.most_running = inner.most_running.max(inner.running);
            if let Some((prefix, reason)) = inner.stop_after
                && name.starts_with(prefix)
            {
                self.stop.request(reason);
            }
            inner.log.push(name.clone());
            let calls = inner.calls;
            inner
                .fault
                .clone()
                .filter(|(at, _)| *at == calls)
                .map(|(_, fault)| fault)
        };
        // As a request does, it lets others run meanwhile.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let result = match fault {
            None => Ok(act(&mut self.get())),
            Some(Fault::Fail { kind, processed }) => {
                if processed {
                    act(&mut self.get());
                }
                Err(Error::new(Side::Gitlab, kind, name, "it went wrong"))
            }
            Some(Fault::Die { processed }) => {
                if processed {
                    act(&mut self.get());
                }
                self.die().await
            }
        };
        self.get().running -= 1;
        result
    }

    /// Runs a plan; none where the process died on the way.
    pub(super) async fn run(&self, plan: &Plan) -> Option<Vec<ChangeOutcome>> {
        self.run_with(plan, 4, false).await
    }

    pub(super) async fn run_with(
        &self,
        plan: &Plan,
        parallelism: usize,
        fail_fast: bool,
    ) -> Option<Vec<ChangeOutcome>> {
        self.run_until(plan, parallelism, fail_fast, None)
            .await
            .map(|executed| executed.outcomes)
    }

    pub(super) async fn run_until(
        &self,
        plan: &Plan,
        parallelism: usize,
        fail_fast: bool,
        until: Option<std::time::Instant>,
    ) -> Option<Executed> {
        let record = self.get().record.clone();
        let record = record.unwrap_or_else(|| RecordedState::empty("lineage", "0"));
        let clock = || "2026-01-02T03:04:05Z".parse().unwrap();
        let effects = Effects {
            gitlab_read: self,
            gitlab: self,
            admin: Some(self),
            droid: Some(self),
            factory_read: self,
            factory: Some(self),
            vault: self,
            droid_password: Some(Secret::new("canary-password")),
            operator: self,
            clock: &clock,
        };
        let options = Options {
            parallelism,
            fail_fast,
            stop: &self.stop,
            until,
        };
        let observer = |event: Event| {
            assert!(!format!("{event:?}").contains("canary"), "{event:?}");
        };
        tokio::select! {
            biased;
            () = self.dead.notified() => None,
            executed = execute(plan, record, &effects, self, &options, &observer) => Some(executed),
        }
    }
}

#[async_trait]
impl StateStore for World {
    fn place(&self) -> String {
        "fake".into()
    }
    async fn read(&self) -> std::result::Result<Option<RecordedState>, StateError> {
        Ok(self.get().record.clone())
    }
    async fn write(&self, record: &mut RecordedState) -> std::result::Result<(), StateError> {
        let mut next = record.clone();
        next.serial += 1;
        let bytes = render(&next).unwrap();
        let number = self.get().stored.len() + 1;
        if self.get().store_fails_at.is_some_and(|at| number >= at) {
            return Err(StateError::Encode("no space".into()));
        }
        let intents: Vec<_> = next.intents.iter().map(|intent| intent.address.to_string()).collect();
        let name = format!("state {}", intents.join(" "));
        let stored = next.clone();
        let result = self
            .call(name, move |inner| {
                inner.stored.push(bytes);
                inner.record = Some(stored);
            })
            .await;
        match result {
            Ok(()) => {
                *record = next;
                Ok(())
            }
            Err(error) => Err(StateError::Backend(error)),
        }
    }
    async fn lock(&self, _: &LockInfo, _: Duration) -> std::result::Result<(), StateError> {
        Ok(())
    }
    async fn unlock(&self, _: &str) -> std::result::Result<(), StateError> {
        Ok(())
    }
    async fn holder(&self) -> std::result::Result<Holder, StateError> {
        Ok(Holder::Unknown)
    }
    async fn probe(&self, _: &RecordedState) -> std::result::Result<(), StateError> {
        Ok(())
    }
    async fn replace(&self, _: &mut RecordedState) -> std::result::Result<Option<std::path::PathBuf>, StateError> {
        Ok(None)
    }
}

#[async_trait]
impl GitlabRead for World {
    async fn version(&self) -> Result<GitlabVersion> {
        unreachable!()
    }
    async fn own_user(&self) -> Result<OwnUser> {
        unreachable!()
    }
    async fn applications(&self) -> Result<Vec<ObservedApplication>> {
        self.call("read applications".into(), |inner| inner.applications.clone())
            .await
    }
    async fn user(&self, _: &str) -> Result<Option<ObservedUser>> {
        unreachable!()
    }
    async fn user_with_email(&self, _: &str) -> Result<Option<String>> {
        unreachable!()
    }
    async fn namespace_holder(&self, _: &str) -> Result<Option<NamespaceKind>> {
        unreachable!()
    }
    async fn memberships(&self, _: UserId) -> Result<Vec<ObservedMembership>> {
        unreachable!()
    }
    async fn path_of(&self, _: SourceKind) -> Result<Option<FullPath>> {
        unreachable!()
    }
    async fn resolve(&self, _: &BTreeSet<FullPath>) -> Result<ResolvedPaths> {
        unreachable!()
    }
    async fn projects(&self, _: Option<&FullPath>) -> Result<Vec<ObservedProject>> {
        unreachable!()
    }
    async fn supported_scopes(&self) -> Result<Known<BTreeSet<String>>> {
        unreachable!()
    }
    async fn accepts_secret(&self, _: &ApplicationUid, _: &Secret) -> Result<bool> {
        unreachable!()
    }
}

fn fresh_secret(inner: &mut Inner) -> Secret {
    inner.secrets += 1;
    Secret::new(format!("canary-secret-{}", inner.secrets))
}

#[async_trait]
impl GitlabWrite for World {
    async fn create_application(&self, application: &DesiredApplication) -> Result<(ObservedApplication, Secret)> {
        let desired = application.clone();
        self.call("create application".into(), move |inner| {
            let id = 100 + inner.applications.len() as u64;
            let created = ObservedApplication {
                id: ApplicationId(id),
                uid: ApplicationUid(format!("uid-{id}")),
                name: desired.name,
                redirect_uris: desired.redirect_uris,
                confidential: desired.confidential,
                scopes: Known::Unknown,
                trusted: Known::Unknown,
            };
            inner.applications.push(created.clone());
            (created, fresh_secret(inner))
        })
        .await
    }
    async fn renew_secret(&self, id: ApplicationId) -> Result<Secret> {
        self.call(format!("renew {id}"), fresh_secret).await
    }
    async fn delete_application(&self, id: ApplicationId, uid: &ApplicationUid) -> Result<()> {
        let uid = uid.clone();
        self.call(format!("delete application {id}"), move |inner| {
            inner.applications.retain(|app| app.id != id || app.uid != uid);
        })
        .await
    }
    async fn create_user(&self, user: &NewUser, password: Option<&Secret>) -> Result<ObservedUser> {
        assert!(password.is_some());
        let user = droid_account(user);
        self.call("create user".into(), move |inner| {
            inner.user = Some(user.clone());
            user
        })
        .await
    }
    async fn edit_user(&self, _: UserId, edit: &UserEdit) -> Result<ObservedUser> {
        let edit = edit.clone();
        self.call("edit user".into(), move |inner| {
            let user = inner.user.as_mut().unwrap();
            if let Some(username) = edit.username {
                user.username = username;
            }
            user.clone()
        })
        .await
    }
    async fn unblock_user(&self, _: UserId) -> Result<()> {
        self.call("unblock user".into(), |_| {}).await
    }
    async fn activate_user(&self, _: UserId) -> Result<()> {
        self.call("activate user".into(), |_| {}).await
    }
    async fn block_user(&self, _: UserId) -> Result<()> {
        self.call("block user".into(), |_| {}).await
    }
    async fn delete_user(&self, _: UserId) -> Result<()> {
        self.call("delete user".into(), |inner| inner.user = None).await
    }
    async fn add_member(&self, source: SourceKind, user: UserId, role: Role) -> Result<()> {
        assert_eq!(user, UserId(7));
        self.call("add member".into(), move |inner| {
            inner.members.insert(source, role);
        })
        .await
    }
    async fn edit_member(&self, source: SourceKind, user: UserId, role: Role) -> Result<()> {
        self.add_member(source, user, role).await
    }
    async fn remove_member(&self, source: SourceKind, _: UserId) -> Result<()> {
        self.call("remove member".into(), move |inner| {
            inner.members.remove(&source);
        })
        .await
    }
}

fn droid_account(user: &NewUser) -> ObservedUser {
    ObservedUser {
        id: UserId(7),
        username: user.username.clone(),
        name: user.name.clone(),
        email: user.email.clone(),
        state: UserState::Active,
        is_admin: false,
        confirmed: true,
        two_factor: false,
        locked: false,
        last_activity_on: None,
    }
}

#[async_trait]
impl AdminWrite for World {
    async fn edit_application(&self, id: ApplicationId, edit: &ApplicationEdit) -> Result<()> {
        let edit = edit.clone();
        self.call(format!("edit application {id}"), move |inner| {
            let app = inner.applications.iter_mut().find(|app| app.id == id).unwrap();
            app.trusted = edit.trusted.into();
        })
        .await
    }
}

#[async_trait]
impl DroidSession for World {
    async fn authorize(&self, url: &str, approval: &Approval<'_>, droid: &str) -> Result<url::Url> {
        assert!(url.starts_with("https://gitlab.example.com/") && droid == "factory-droid");
        assert_eq!(approval.scopes, &desired().scopes);
        assert_eq!(approval.redirect_uris, &desired().redirect_uris);
        assert!(
            self.get()
                .applications
                .iter()
                .any(|app| &app.uid == approval.application)
        );
        self.call("open authorize".into(), |_| {
            url::Url::parse("https://app.example.com/callback?code=1").unwrap()
        })
        .await
    }
    async fn evidence(&self, _: &str) -> Result<Evidence> {
        let mut inner = self.get();
        let denied = inner.denials > 0;
        inner.denials = inner.denials.saturating_sub(1);
        Ok(Evidence {
            authorized: (!denied)
                .then(|| "Factory Integration".to_owned())
                .into_iter()
                .collect(),
        })
    }
}

#[async_trait]
impl FactoryRead for World {
    fn source(&self) -> FactorySource {
        FactorySource::Live
    }
    async fn integration(&self) -> Result<Option<ObservedIntegration>> {
        self.call("read integration".into(), |inner| inner.integration.clone())
            .await
    }
    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>> {
        unreachable!()
    }
}

#[async_trait]
impl FactoryWrite for World {
    async fn save_connection(
        &self,
        domain: &str,
        uid: &ApplicationUid,
        secret: &Secret,
    ) -> Result<ObservedIntegration> {
        let (domain, application, secret) = (domain.to_owned(), uid.clone(), secret.expose().to_owned());
        self.call("save connection".into(), move |inner| {
            let integration = ObservedIntegration {
                domain,
                application,
                redirect_uri: None,
                status: IntegrationStatus::Configured,
                detail: None,
                user: None,
                secret_fingerprint: Known::Unknown,
            };
            inner.held_secret = Some(secret);
            inner.integration = Some(integration.clone());
            integration
        })
        .await
    }
    async fn delete_connection(&self) -> Result<()> {
        self.call("delete connection".into(), |inner| inner.integration = None)
            .await
    }
    async fn start_authorization(&self) -> Result<String> {
        self.call("start authorization".into(), |_| {
            "https://gitlab.example.com/oauth/authorize".to_owned()
        })
        .await
    }
    async fn finish_authorization(&self, _: &url::Url) -> Result<()> {
        self.call("finish authorization".into(), |inner| {
            let user = inner.authorizes_as.clone().unwrap_or(AuthorizedUser {
                id: UserId(7),
                username: "factory-droid".into(),
            });
            let integration = inner.integration.as_mut().unwrap();
            integration.status = IntegrationStatus::Connected;
            integration.user = Some(user);
        })
        .await
    }
    async fn set_repositories(
        &self,
        enable: &BTreeSet<ProjectId>,
        disable: &BTreeSet<ProjectId>,
    ) -> Result<BTreeMap<ProjectId, std::result::Result<bool, String>>> {
        let (enable, disable) = (enable.clone(), disable.clone());
        let name = format!("set {} repositories", enable.len() + disable.len());
        self.call(name, move |inner| {
            let mut answers = BTreeMap::new();
            for (ids, enabled) in [(enable, true), (disable, false)] {
                for id in ids {
                    if inner.refuse_repository == Some(id) {
                        answers.insert(id, Err("no".to_owned()));
                    } else {
                        inner.repositories.insert(id, enabled);
                        answers.insert(id, Ok(enabled));
                    }
                }
            }
            answers
        })
        .await
    }
}

#[async_trait]
impl SecretVault for World {
    fn saves(&self) -> bool {
        true
    }
    async fn save(&self, secret: &Secret) -> std::result::Result<(), String> {
        let text = secret.expose().to_owned();
        if self.get().save_fails {
            return Err("the vault is sealed".into());
        }
        self.call("save secret".into(), move |inner| inner.saved.push(text))
            .await
            .map_err(|error| error.to_string())
    }
    async fn load(&self) -> std::result::Result<Option<Secret>, String> {
        Ok(self.get().saved.last().map(Secret::new))
    }
}

#[async_trait]
impl Operator for World {
    async fn ask(&self, card: Card<'_>) -> Answer {
        let mut inner = self.get();
        let steps = card.steps.iter().map(|(address, _)| address.to_string()).collect();
        inner.asked.push((steps, card.secret.is_some()));
        if inner.answers.is_empty() {
            Answer::Later
        } else {
            inner.answers.remove(0)
        }
    }
}

/// A change with these writes, after these others.
pub(super) fn change(address: Address, operations: Vec<Operation>, after: &[Address]) -> Change {
    Change {
        address,
        actions: Actions::Create,
        status: Status::Ready,
        origin: Origin::Pending,
        reason: Reason::Absent,
        attributes: vec![],
        depends_on: after.to_vec(),
        notes: vec![],
        operations,
        steps: vec![],
    }
}

pub(super) fn plan(mut changes: Vec<Change>) -> Plan {
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    Plan {
        command: Command::Apply,
        changes,
        unchanged: vec![],
        warnings: vec![],
        summary: PlanSummary::default(),
        attested: vec![],
        refusals: vec![],
    }
}

pub(super) fn desired() -> DesiredApplication {
    DesiredApplication {
        name: "Factory Integration".into(),
        redirect_uris: BTreeSet::from(["https://app.example.com/callback".to_owned()]),
        trusted: true,
        confidential: true,
        scopes: BTreeSet::from(["api".to_owned()]),
    }
}

pub(super) fn path(text: &str) -> FullPath {
    FullPath::new(text)
}

pub(super) fn repository(number: u64) -> Change {
    change(
        Address::Repository(path(&format!("a/r{number:04}"))),
        vec![Operation::Repository(RepositoryOperation::Enable {
            id: ProjectId(number),
        })],
        &[Address::Authorization],
    )
}

/// The first apply of an empty world.
pub(super) fn first_apply(members: u64, repositories: u64) -> Plan {
    let mut changes = vec![
        change(
            Address::Application,
            vec![
                Operation::Application(ApplicationOperation::Create { application: desired() }),
                Operation::Application(ApplicationOperation::Edit {
                    application: ApplicationRef::Planned,
                    edit: ApplicationEdit {
                        trusted: Some(true),
                        ..ApplicationEdit::default()
                    },
                }),
            ],
            &[],
        ),
        change(
            Address::User,
            vec![Operation::User(UserOperation::Create {
                username: "factory-droid".into(),
                name: "Factory Droid".into(),
                email: "droid@example.com".into(),
            })],
            &[],
        ),
        change(
            Address::Connection,
            vec![Operation::Connection(ConnectionOperation::Save {
                domain: "https://gitlab.example.com".into(),
                application: ApplicationRef::Planned,
                secret: SecretSource::Fresh,
            })],
            &[Address::Application],
        ),
        change(
            Address::Authorization,
            vec![Operation::Authorization(AuthorizationOperation::Authorize {
                username: "factory-droid".into(),
                sign_in: SignIn::Password,
                application: ApplicationRef::Planned,
                scopes: desired().scopes,
                redirect_uris: desired().redirect_uris,
            })],
            &[Address::User, Address::Connection],
        ),
    ];
    for number in 0..members {
        let at = path(&format!("g{number:03}"));
        changes.push(change(
            Address::Membership(at.clone()),
            vec![Operation::Membership(MembershipOperation::Add {
                member: MemberRef {
                    source: SourceKind::Group(GroupId(number)),
                    path: at,
                    user: UserRef::Planned,
                },
                role: Role::Developer,
            })],
            &[Address::User],
        ));
    }
    changes.extend((0..repositories).map(repository));
    plan(changes)
}

/// The application replaced; Factory moves over.
pub(super) fn replacement(world: &World) -> Plan {
    let old = ObservedApplication {
        id: ApplicationId(1),
        uid: ApplicationUid("old".into()),
        name: "Factory Integration".into(),
        redirect_uris: BTreeSet::from(["https://elsewhere.example.com".to_owned()]),
        confidential: true,
        scopes: Known::Unknown,
        trusted: Known::Unknown,
    };
    world.get().applications.push(old);
    let mut plan = first_apply(0, 2);
    for change in &mut plan.changes {
        if change.address == Address::Application {
            change.actions = Actions::Replace;
            change
                .operations
                .push(Operation::Application(ApplicationOperation::Delete {
                    id: ApplicationId(1),
                    uid: ApplicationUid("old".into()),
                }));
        }
    }
    plan
}
