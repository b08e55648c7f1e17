//! GitLab behind its reading and writing traits. What GitLab refuses is refused; what must never be asked of it panics.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::world::{ADMIN, Sides, World};
use crate::gitlab::{
    AdminRead, AdminWrite, Approval, Authenticator, Below, Door, Doorkeeper, DroidSession, GitlabRead, GitlabWrite,
    Granted, Harm, Keeper, Membership, NotEnrolled, OwnUser, Resident, ResolvedPaths,
};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::{
    ApplicationEdit, ApplicationFields, ApplicationId, ApplicationUid, Evidence, FullPath, GitlabVersion, Kind, Known,
    MembershipFields, NamespaceKind, ObservedApplication, ObservedMembership, ObservedProject, ObservedUser, ProjectId,
    Resolution, Role, SourceKind, TermsVersion, UserEdit, UserFields, UserId, UserState,
};
use crate::secrets::Secret;

fn refuse<T>(kind: ErrorKind, why: &str) -> Result<T> {
    Err(Error::new(Side::Gitlab, kind, "a request", why))
}

fn gone<T>() -> Result<T> {
    refuse(ErrorKind::NotFound, "404 Not Found")
}

#[async_trait]
impl GitlabRead for World {
    async fn version(&self) -> Result<GitlabVersion> {
        let version = GitlabVersion {
            major: 18,
            minor: 5,
            text: "18.5.1-ee".to_owned(),
        };
        self.read_from("version", |_| Ok(version)).await
    }

    async fn own_user(&self) -> Result<OwnUser> {
        let own = OwnUser {
            id: ADMIN,
            username: "root".to_owned(),
            is_admin: true,
        };
        self.read_from("own_user", |_| Ok(own)).await
    }

    async fn applications(&self) -> Result<Vec<ObservedApplication>> {
        self.read_from("applications", |sides| {
            Ok(sides.apps.iter().map(|app| sides.show(app, false)).collect())
        })
        .await
    }

    async fn user(&self, username: &str) -> Result<Option<ObservedUser>> {
        self.read_from("user", |sides| Ok(sides.user_named(username).cloned()))
            .await
    }

    async fn user_with_email(&self, email: &str) -> Result<Option<String>> {
        self.read_from("user_with_email", |sides| {
            let holder = sides.users.values().find(|user| user.fields.email == email.into());
            Ok(holder.map(|user| user.fields.username.to_string()))
        })
        .await
    }

    async fn namespace_holder(&self, name: &str) -> Result<Option<NamespaceKind>> {
        self.read_from("namespace_holder", |sides| Ok(holder(sides, name)))
            .await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<ObservedMembership>> {
        self.read_from("memberships", |sides| {
            let of_user = sides.members.iter().filter(|((member, _), _)| *member == user);
            Ok(of_user
                .map(|((_, source), fields)| ObservedMembership {
                    source: *source,
                    fields: *fields,
                })
                .collect())
        })
        .await
    }

    async fn membership(&self, source: SourceKind, user: UserId) -> Result<Option<Membership>> {
        self.read_from("membership", |sides| {
            let fields = sides.members.get(&(user, source)).copied();
            let custom_role = None;
            Ok(fields.map(|fields| Membership { fields, custom_role }))
        })
        .await
    }

    async fn path_of(&self, source: SourceKind) -> Result<Option<FullPath>> {
        self.read_from("path_of", |sides| Ok(path_of(sides, source))).await
    }

    async fn resolve(&self, paths: &BTreeSet<FullPath>) -> Result<ResolvedPaths> {
        assert!(!paths.is_empty(), "nothing to resolve");
        for _ in 1..paths.len().div_ceil(50) {
            self.read_from("resolve", |_| Ok(())).await?;
        }
        self.read_from("resolve", |sides| Ok(resolved(sides, paths))).await
    }

    async fn projects_by_id(&self, ids: &BTreeSet<ProjectId>) -> Result<Vec<ObservedProject>> {
        assert!(!ids.is_empty(), "nothing to look up");
        for _ in 1..ids.len().div_ceil(100) {
            self.read_from("projects_by_id", |_| Ok(())).await?;
        }
        self.read_from("projects_by_id", |sides| {
            Ok(ids.iter().filter_map(|id| sides.projects.get(id)).cloned().collect())
        })
        .await
    }

    async fn role(&self, user: UserId, source: SourceKind) -> Result<Option<Role>> {
        self.read_from("role", |sides| {
            let above = std::iter::successors(path_of(sides, source), FullPath::parent);
            let of_group = |path: &FullPath| sides.groups.get(path).map(|id| SourceKind::Group(*id));
            let sources = above.filter_map(|path| of_group(&path)).chain([source]);
            let memberships = sources.filter_map(|source| sides.members.get(&(user, source)));
            Ok(memberships.map(|membership| membership.role).max())
        })
        .await
    }

    async fn accounts_are_external(&self) -> Result<Known<bool>> {
        self.read_from("settings", |_| Ok(Known::Known(false))).await
    }

    async fn terms(&self) -> Result<Known<Option<TermsVersion>>> {
        self.read_from("terms", |_| Ok(Known::Known(None))).await
    }

    async fn enforcing_groups(&self, _: &BTreeSet<FullPath>) -> Result<BTreeSet<FullPath>> {
        self.read_from("enforcing_groups", |_| Ok(BTreeSet::new())).await
    }

    async fn projects(&self, below: Option<&Below<'_>>) -> Result<Vec<ObservedProject>> {
        let below = below.map(|group| group.path);
        self.read_from("projects", |sides| {
            if below.is_some_and(|group| !sides.groups.contains_key(group)) {
                return gone();
            }
            let within = |project: &&ObservedProject| below.is_none_or(|group| group.contains(&project.path));
            Ok(sides.projects.values().filter(within).cloned().collect())
        })
        .await
    }

    async fn supported_scopes(&self) -> Result<Known<BTreeSet<String>>> {
        self.read_from("supported_scopes", |sides| Ok(sides.supported_scopes.clone()))
            .await
    }

    async fn accepts_secret(&self, application: &ApplicationUid, secret: &Secret) -> Result<bool> {
        self.read_from("accepts_secret", |sides| {
            let mut apps = sides.apps.iter();
            Ok(apps.any(|app| app.uid == *application && app.secret == secret.expose()))
        })
        .await
    }
}

fn holder(sides: &Sides, name: &str) -> Option<NamespaceKind> {
    let group = sides.groups.contains_key(&FullPath::new(name));
    let user = sides.user_named(name).is_some();
    group
        .then_some(NamespaceKind::Group)
        .or(user.then_some(NamespaceKind::User))
}

fn path_of(sides: &Sides, source: SourceKind) -> Option<FullPath> {
    match source {
        SourceKind::Project(id) => sides.projects.get(&id).map(|project| project.path.clone()),
        SourceKind::Group(id) => {
            let mut groups = sides.groups.iter();
            groups.find(|(_, group)| **group == id).map(|(path, _)| path.clone())
        }
    }
}

fn resolved(sides: &Sides, paths: &BTreeSet<FullPath>) -> ResolvedPaths {
    let mut resolved = ResolvedPaths::default();
    for path in paths {
        let project = sides.projects.values().find(|project| project.path == *path);
        let resolution = if let Some(group) = sides.groups.get(path) {
            Resolution::Found(SourceKind::Group(*group))
        } else if let Some(project) = project {
            resolved.projects.push(project.clone());
            Resolution::Found(SourceKind::Project(project.id))
        } else if let Some(id) = sides.moved.get(path) {
            let to = sides.projects[id].path.clone();
            let source = SourceKind::Project(*id);
            Resolution::Moved { source, to }
        } else {
            Resolution::NotFound
        };
        resolved.paths.insert(path.clone(), resolution);
    }
    resolved
}

#[async_trait]
impl Doorkeeper for World {
    async fn harm(&self, _: &Door) -> Result<Option<Harm>> {
        self.read_from("harm", |_| Ok(None)).await
    }

    async fn terms_now(&self) -> Result<Option<TermsVersion>> {
        self.read_from("settings", |_| Ok(None)).await
    }

    async fn account(&self, _: &str) -> Result<Option<Resident>> {
        self.read_from("account", |_| Ok(None)).await
    }
}

#[async_trait]
impl AdminRead for World {
    async fn open(&self) -> Result<()> {
        self.read_from("sign in", |_| Ok(())).await
    }

    async fn application(&self, id: ApplicationId) -> Result<ApplicationFields> {
        self.read_from("admin page", |sides| {
            let app = sides.apps.iter().find(|app| app.id == id);
            app.map_or_else(gone, |app| Ok(sides.show(app, true).fields))
        })
        .await
    }
}

#[async_trait]
impl AdminWrite for World {
    async fn edit_application(&self, id: ApplicationId, edit: &ApplicationEdit) -> Result<()> {
        self.write_to("edit application", Kind::Application, |sides| {
            assert!(sides.admin_session, "edited without a session");
            let Some(app) = sides.apps.iter_mut().find(|app| app.id == id) else {
                return gone();
            };
            edit.apply(&mut app.declared);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl GitlabWrite for World {
    async fn create_application(&self, application: &ApplicationFields) -> Result<(ObservedApplication, Secret)> {
        self.write_to("create application", Kind::Application, |sides| {
            let app = sides.create_app(application);
            sides.made.applications.insert(app.id);
            Ok((sides.show(&app, false), Secret::new(app.secret)))
        })
        .await
    }

    async fn renew_secret(&self, id: ApplicationId) -> Result<Secret> {
        self.write_to("renew secret", Kind::Application, |sides| {
            let secret = sides.fresh_secret();
            let Some(app) = sides.apps.iter_mut().find(|app| app.id == id) else {
                return gone();
            };
            app.secret.clone_from(&secret);
            Ok(Secret::new(secret))
        })
        .await
    }

    async fn delete_application(&self, id: ApplicationId, uid: &ApplicationUid) -> Result<()> {
        self.write_to(&format!("delete application {uid}"), Kind::Application, |sides| {
            // What a person disconnects later does not keep GitLab's half from being taken down.
            let in_use = !sides.assisted
                && sides.connected().is_some()
                && sides
                    .integration
                    .as_ref()
                    .is_some_and(|integration| integration.uid == *uid);
            assert!(!in_use, "deleted while Factory works through it");
            sides.delete_apps(|app| app.id == id && app.uid == *uid);
            Ok(())
        })
        .await
    }

    async fn create_user(&self, user: &UserFields, password: Option<&Secret>) -> Result<ObservedUser> {
        assert!(password.is_some(), "a password is configured");
        self.write_to("create user", Kind::User, |sides| {
            let taken = |other: &ObservedUser| other.fields.email == user.email;
            if holder(sides, &user.username).is_some() || sides.users.values().any(taken) {
                return refuse(ErrorKind::Conflict, "has already been taken");
            }
            let created = ObservedUser {
                id: UserId(sides.fresh_id()),
                fields: user.clone(),
                is_admin: false,
                ..sides.users[&ADMIN].clone()
            };
            sides.users.insert(created.id, created.clone());
            sides.made.user = Some(created.id);
            Ok(created)
        })
        .await
    }

    async fn edit_user(&self, id: UserId, edit: &UserEdit) -> Result<ObservedUser> {
        self.on_user("edit user", id, |user| edit.apply(&mut user.fields)).await
    }

    async fn unblock_user(&self, id: UserId) -> Result<()> {
        self.on_user("unblock user", id, |user| user.state = UserState::Active)
            .await
            .map(drop)
    }

    async fn approve_user(&self, id: UserId) -> Result<()> {
        self.on_user("approve user", id, |user| user.state = UserState::Active)
            .await
            .map(drop)
    }

    async fn activate_user(&self, id: UserId) -> Result<()> {
        self.on_user("activate user", id, |user| user.state = UserState::Active)
            .await
            .map(drop)
    }

    async fn disable_second_factor(&self, _: UserId) -> Result<()> {
        panic!("nobody has a second factor here")
    }

    async fn block_user(&self, id: UserId) -> Result<()> {
        self.on_user("block user", id, |user| user.state = UserState::Blocked)
            .await
            .map(drop)
    }

    async fn delete_user(&self, id: UserId) -> Result<()> {
        assert_ne!(id, ADMIN, "our own account");
        self.write_to("delete user", Kind::User, |sides| {
            sides.delete_user(id);
            Ok(())
        })
        .await
    }

    async fn add_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        self.write_to("add member", Kind::Membership, |sides| {
            if !sides.users.contains_key(&user) {
                return gone();
            }
            if sides.members.contains_key(&(user, source)) {
                return refuse(ErrorKind::Conflict, "Member already exists");
            }
            sides.members.insert((user, source), fields);
            sides.made.members.insert((user, source));
            Ok(Granted::Now)
        })
        .await
    }

    async fn edit_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        self.write_to("edit member", Kind::Membership, |sides| {
            let Some(member) = sides.members.get_mut(&(user, source)) else {
                return gone();
            };
            *member = fields;
            sides.made.members.insert((user, source));
            Ok(Granted::Now)
        })
        .await
    }

    async fn remove_member(&self, source: SourceKind, user: UserId) -> Result<()> {
        self.write_to("remove member", Kind::Membership, |sides| {
            sides.members.remove(&(user, source));
            Ok(())
        })
        .await
    }
}

impl World {
    async fn on_user(
        &self,
        name: &str,
        id: UserId,
        edit: impl FnOnce(&mut ObservedUser) + Send,
    ) -> Result<ObservedUser> {
        assert_ne!(id, ADMIN, "our own account");
        self.write_to(name, Kind::User, |sides| {
            let Some(user) = sides.users.get_mut(&id) else {
                return gone();
            };
            edit(user);
            Ok(user.clone())
        })
        .await
    }
}

#[async_trait]
impl DroidSession for World {
    async fn authorize(&self, url: &str, approval: &Approval<'_>, droid: &str) -> Result<url::Url> {
        self.write_to("consent", Kind::Authorization, |sides| {
            let uid = url.rsplit_once('=').expect("the application's id").1;
            let Some(app) = sides.apps.iter().find(|app| app.uid.0 == uid) else {
                return gone();
            };
            assert_eq!(approval.application, &app.uid, "another application is approved");
            assert_eq!(approval.redirect_uris, &app.declared.redirect_uris);
            assert!(
                approval.scopes.contains("api"),
                "Factory asks for no less: {approval:?}"
            );
            match sides.user_named(droid) {
                Some(user) if user.state == UserState::Active => {
                    let redirect = format!("https://app.example.com/redirect?code={}", user.id);
                    Ok(redirect.parse().unwrap())
                }
                _ => refuse(ErrorKind::Refused, "nobody can sign in"),
            }
        })
        .await
    }

    async fn enrol(&self, _: &str, _: &dyn Keeper) -> std::result::Result<Authenticator, NotEnrolled> {
        panic!("nobody has a second factor here")
    }

    async fn verify_second_factor(&self, _: &str, _: &Secret) -> Result<()> {
        panic!("nobody has a second factor here")
    }

    async fn accept_terms(&self, _: &str, _: &TermsVersion) -> Result<Option<u64>> {
        panic!("there are no terms here")
    }

    async fn evidence(&self, droid: &str) -> Result<Evidence> {
        self.read_from("evidence", |sides| {
            let authorized = |uid: &ApplicationUid| {
                let user = sides.user_named(droid)?.id;
                sides.grants.contains(&(user, uid.clone())).then_some(())
            };
            let apps = sides.apps.iter().filter(|app| authorized(&app.uid).is_some());
            Ok(Evidence {
                authorized: apps.map(|app| (app.id, None)).collect(),
            })
        })
        .await
    }
}
