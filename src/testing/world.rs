//! What there is: both sides, the place where the secret is kept, the record, and a person.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use super::faults::Cut;
use crate::executor::{Answer, Event, Stop, StopReason};
use crate::model::{
    ApplicationFields, ApplicationId, ApplicationUid, Command, Desired, Domain, FullPath, GroupId, Known,
    MembershipFields, Observed, ObservedApplication, ObservedProject, ObservedUser, Plan, Policy, ProjectId,
    RecordedState, SignIn, SourceKind, UserFields, UserId, UserState, Visibility,
};
use crate::planner::fixture::project;
use crate::planner::{check_invariants, plan};

/// The administrator whose token Setpoint has.
pub(crate) const ADMIN: UserId = UserId(1);

/// An application with what GitLab does not show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct App {
    pub(crate) id: ApplicationId,
    pub(crate) uid: ApplicationUid,
    pub(crate) declared: ApplicationFields,
    pub(crate) secret: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Integration {
    pub(crate) domain: Domain,
    pub(crate) uid: ApplicationUid,
    pub(crate) secret: String,
    pub(crate) authorized: Option<UserId>,
}

/// What Setpoint brought into being, and so must never lose sight of.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) applications: BTreeSet<ApplicationId>,
    pub(super) user: Option<UserId>,
    pub(super) members: BTreeSet<(UserId, SourceKind)>,
    pub(super) connection: bool,
    pub(super) repositories: BTreeSet<ProjectId>,
}

/// Everything of a world that a test may look at or change.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of a test")]
pub(crate) struct Sides {
    pub(crate) groups: BTreeMap<FullPath, GroupId>,
    pub(crate) projects: BTreeMap<ProjectId, ObservedProject>,
    pub(crate) moved: BTreeMap<FullPath, ProjectId>,
    pub(crate) apps: Vec<App>,
    pub(crate) users: BTreeMap<UserId, ObservedUser>,
    pub(crate) members: BTreeMap<(UserId, SourceKind), MembershipFields>,
    /// Who authorized which application.
    pub(crate) grants: BTreeSet<(UserId, ApplicationUid)>,
    pub(crate) shows_scopes: bool,
    pub(crate) supported_scopes: Known<BTreeSet<String>>,

    pub(crate) integration: Option<Integration>,
    pub(crate) enabled: BTreeSet<ProjectId>,
    /// A repository that Factory enables for nobody.
    pub(crate) refused: Option<ProjectId>,
    /// Who consents in GitLab, where that is not the one who was meant to.
    pub(crate) consents_as: Option<UserId>,

    /// Whether a person is to sign in as the droid.
    pub(crate) person_signs_in: bool,
    /// Whether there is an administrator's web session.
    pub(crate) admin_session: bool,
    /// Whether Factory's half is done by a person, who attests it.
    pub(crate) assisted: bool,
    /// Whether `application.secret.save` and `.load` are configured.
    pub(crate) saves: bool,
    pub(crate) loads: bool,
    /// Every secret that was saved; the last one is what is loaded.
    pub(crate) saved: Vec<String>,
    pub(crate) store_is_down: bool,
    /// Whether the newest secret could not be saved.
    pub(crate) unsaved: bool,

    pub(crate) record: RecordedState,
    /// The records that the last run wrote.
    pub(crate) stored: Vec<RecordedState>,
    /// From which state write on the disk is full.
    pub(crate) full_from: Option<usize>,

    /// What the person answers; after these, the same again and again.
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) otherwise: Answer,
    /// How many approvals the person claims without having given them.
    pub(crate) false_claims: usize,
    /// What was wrong before each time that the person was invited to approve.
    pub(crate) invitations: Vec<Option<String>>,
    /// The addresses on each prompt, and whether it could show the secret.
    pub(crate) prompts: Vec<(Vec<String>, bool)>,

    /// Every call of the last observation or run by its name, and what was reported of it.
    pub(crate) log: Vec<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) calls: usize,
    /// The writes to either side since the beginning.
    pub(crate) writes: usize,
    pub(crate) cut: Option<Cut>,
    /// Whether something went wrong where it was to.
    pub(crate) met_cut: bool,
    pub(crate) stop_at: Option<(&'static str, StopReason)>,
    pub(crate) dead: bool,
    pub(crate) running: usize,
    pub(crate) most_running: usize,

    pub(super) made: Made,
    next_id: u64,
}

/// Both sides behind the traits through which they are read and written.
pub(crate) struct World {
    sides: Mutex<Sides>,
    pub(super) stop: Stop,
}

impl World {
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
            fields: UserFields {
                username: "root".into(),
                name: "Administrator".to_owned(),
                email: "root@example.com".into(),
            },
            state: UserState::Active,
            is_admin: true,
            external: false,
            confirmed: true,
            two_factor: false,
            locked: false,
            last_activity_on: None,
        };
        let sides = Sides {
            groups: groups
                .iter()
                .zip(11..)
                .map(|(path, id)| (FullPath::new(path), GroupId(id)))
                .collect(),
            projects: projects
                .map(|(id, path, visibility, archived)| {
                    let project = ObservedProject {
                        archived,
                        ..project(ProjectId(id), path, visibility)
                    };
                    (project.id, project)
                })
                .into(),
            moved: [(FullPath::new("web/journal"), ProjectId(105))].into(),
            apps: Vec::new(),
            users: [(ADMIN, admin)].into(),
            members: BTreeMap::new(),
            grants: BTreeSet::new(),
            shows_scopes: false,
            supported_scopes: Known::Unknown,
            integration: None,
            enabled: BTreeSet::new(),
            refused: None,
            consents_as: None,
            person_signs_in: false,
            admin_session: false,
            assisted: false,
            saves: true,
            loads: false,
            saved: Vec::new(),
            store_is_down: false,
            unsaved: false,
            record: RecordedState::empty("lineage", "0.0.0"),
            stored: Vec::new(),
            full_from: None,
            answers: VecDeque::new(),
            otherwise: Answer::Attested {
                by: "ada@desk".to_owned(),
            },
            false_claims: 0,
            invitations: Vec::new(),
            prompts: Vec::new(),
            log: Vec::new(),
            events: Vec::new(),
            calls: 0,
            writes: 0,
            cut: None,
            met_cut: false,
            stop_at: None,
            dead: false,
            running: 0,
            most_running: 0,
            made: Made::default(),
            next_id: 1000,
        };
        Self {
            sides: Mutex::new(sides),
            stop: Stop::new(),
        }
    }

    /// Another world that is as this one is now.
    pub(crate) fn fork(&self) -> Self {
        Self {
            sides: Mutex::new(self.get().clone()),
            stop: Stop::new(),
        }
    }

    /// Everything in it. Not to be held while the world is observed or written to.
    pub(crate) fn get(&self) -> MutexGuard<'_, Sides> {
        self.sides.lock().unwrap()
    }

    /// What is allowed and configured here.
    pub(crate) fn policy(&self, command: Command) -> Policy {
        let sides = self.get();
        let mut policy = Policy::new(command);
        policy.sign_in = (!sides.person_signs_in).then_some(SignIn::Password);
        policy.replace_application = true;
        policy.allowances.removals = Some(100);
        policy.admin_session = sides.admin_session;
        policy.saves_secret = sides.saves;
        policy
    }

    /// Observes and plans. Every plan is held to what must be true of all plans.
    pub(crate) fn look(&self, desired: &Desired, command: Command) -> (Observed, Plan) {
        let observed = self.observe(desired);
        let record = self.get().record.clone();
        let plan = plan(desired, &observed, &record, &self.policy(command));
        assert_eq!(check_invariants(&plan), Vec::<String>::new(), "{plan:#?}");
        (observed, plan)
    }
}

impl Sides {
    /// The names of all calls of the last run but the reads.
    pub(crate) fn log_of_writes(&self) -> Vec<String> {
        let writes = self.log.iter().filter(|line| !line.starts_with("read "));
        writes.cloned().collect()
    }

    /// Somebody else creates an application, or Setpoint does.
    pub(crate) fn create_app(&mut self, declared: &ApplicationFields) -> App {
        let secret = self.fresh_secret();
        let id = self.fresh_id();
        let app = App {
            id: ApplicationId(id),
            uid: ApplicationUid(format!("uid-{id}")),
            declared: ApplicationFields {
                trusted: Known::Known(false),
                ..declared.clone()
            },
            secret,
        };
        self.apps.push(app.clone());
        app
    }

    /// A new secret, which must not be found anywhere but with GitLab, the secret store and Factory.
    pub(crate) fn fresh_secret(&mut self) -> String {
        format!("canary-secret-{}", self.fresh_id())
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The account of this name.
    pub(crate) fn user_named(&self, username: &str) -> Option<&ObservedUser> {
        self.users.values().find(|user| user.fields.username == username.into())
    }

    /// The application as the API shows it, or as its page in the admin area does.
    pub(super) fn show(&self, app: &App, page: bool) -> ObservedApplication {
        ObservedApplication {
            id: app.id,
            uid: app.uid.clone(),
            fields: ApplicationFields {
                scopes: if page || self.shows_scopes {
                    app.declared.scopes.clone()
                } else {
                    Known::Unknown
                },
                trusted: if page { app.declared.trusted } else { Known::Unknown },
                ..app.declared.clone()
            },
        }
    }

    /// Whether GitLab takes the secret that Factory has.
    pub(super) fn takes_factorys_secret(&self) -> bool {
        self.integration.as_ref().is_some_and(|integration| {
            let of_it = |app: &App| app.uid == integration.uid && app.secret == integration.secret;
            self.apps.iter().any(of_it)
        })
    }

    /// Whether Factory's integration works, and as whom.
    pub(crate) fn connected(&self) -> Option<UserId> {
        let integration = self.integration.as_ref()?;
        let user = integration.authorized?;
        let usable = self
            .users
            .get(&user)
            .is_some_and(|user| matches!(user.state, UserState::Active | UserState::Deactivated));
        let granted = self.grants.contains(&(user, integration.uid.clone()));
        (usable && granted && self.takes_factorys_secret()).then_some(user)
    }

    pub(crate) fn sees(&self, user: UserId, project: &ObservedProject) -> bool {
        project.visibility != Visibility::Private
            || self.members.contains_key(&(user, SourceKind::Project(project.id)))
            || project.path.ancestors().any(|group| {
                self.groups
                    .get(&group)
                    .is_some_and(|id| self.members.contains_key(&(user, SourceKind::Group(*id))))
            })
    }

    /// Somebody consents to Factory's application in GitLab, who may be another than who was meant to.
    pub(crate) fn consent(&mut self, user: UserId) {
        let user = self.consents_as.unwrap_or(user);
        let integration = self.integration.as_mut().expect("authorized without a connection");
        integration.authorized = Some(user);
        self.grants.insert((user, integration.uid.clone()));
    }

    /// Factory forgets the authorization, unless it is given what it has.
    pub(super) fn save_connection(&mut self, domain: &Domain, uid: &ApplicationUid, secret: &str) {
        let same = self.integration.as_ref().is_some_and(|integration| {
            integration.domain == *domain && integration.uid == *uid && integration.secret == secret
        });
        if !same {
            self.integration = Some(Integration {
                domain: domain.clone(),
                uid: uid.clone(),
                secret: secret.to_owned(),
                authorized: None,
            });
        }
    }

    /// Factory disconnects and forgets.
    pub(crate) fn disconnect(&mut self) {
        self.integration = None;
        self.enabled.clear();
    }

    /// The account is gone with all that it had.
    pub(crate) fn delete_user(&mut self, id: UserId) {
        self.users.remove(&id);
        self.members.retain(|(user, _), _| *user != id);
        self.grants.retain(|(user, _)| *user != id);
    }

    /// The application is gone with all its tokens.
    pub(crate) fn delete_apps(&mut self, which: impl Fn(&App) -> bool) {
        self.apps.retain(|app| !which(app));
        let apps = &self.apps;
        self.grants.retain(|(_, uid)| apps.iter().any(|app| app.uid == *uid));
    }

    /// Somebody else has been at it: what is there now need not be what Setpoint made.
    pub(crate) fn meddled(&mut self) {
        self.made = Made {
            applications: std::mem::take(&mut self.made.applications),
            ..Made::default()
        };
    }

    /// The record is lost, and with it all that Setpoint knows of its own doing.
    pub(crate) fn forget_record(&mut self) {
        self.record = RecordedState::empty("lineage", "0.0.0");
        self.made = Made::default();
    }
}
