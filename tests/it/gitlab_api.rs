//! GitLab's API client against the embedded GitLab: what it reads and writes, and in how many requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use setpoint::gitlab::{Below, GitlabApi, GitlabRead as _, GitlabWrite as _};
use setpoint::http::{Client, ClientOptions, Counter, Credential, ErrorKind, RetryPolicy, Side};
use setpoint::model::{
    ApplicationFields, ApplicationUid, FullPath, GroupId, Known, NamespaceKind, ProjectId, Resolution, Role,
    SourceKind, UserAttribute, UserEdit, UserFields, UserState,
};
use setpoint::sandbox::faults::{Action, Intercept, Seen};
use setpoint::sandbox::world::Visibility;
use setpoint::sandbox::{self, Options, Sandbox};
use setpoint::secrets::Secret;

struct Bench {
    sandbox: Sandbox,
    api: GitlabApi,
    counter: Arc<Counter>,
}

/// Strikes requests by a closure, before (false) or after (true) they are processed.
struct Strike<F>(F);

impl<F: Fn(&Seen, bool) -> Action + Send + Sync> Intercept for Strike<F> {
    fn before(&self, request: &Seen) -> Action {
        self.0(request, false)
    }

    fn after(&self, request: &Seen, _status: u16) -> Action {
        self.0(request, true)
    }
}

impl Bench {
    async fn new() -> Self {
        Self::with(&[], Options::default()).await
    }

    async fn with(switches: &[&str], mut options: Options) -> Self {
        for switch in switches {
            options.switches.set(switch).unwrap();
        }
        let sandbox = sandbox::start(options).await.unwrap();
        let mut options = ClientOptions::new(&setpoint::gitlab::PEER, sandbox.gitlab_url().parse().unwrap());
        options.credential = Credential::PrivateToken(Secret::new(sandbox.credentials().gitlab_token));
        options.retry = RetryPolicy {
            sleep: Arc::new(|_| Box::pin(async {})),
            ..RetryPolicy::default()
        };
        let counter = Arc::clone(&options.counter);
        Self {
            sandbox,
            api: GitlabApi::new(Client::new(options).unwrap()),
            counter,
        }
    }

    /// Reads and writes since the last call.
    fn spent(&self, since: &mut (u64, u64)) -> (u64, u64) {
        let counts = self.counter.of(Side::Gitlab);
        let now = (counts.reads, counts.writes);
        let spent = (now.0 - since.0, now.1 - since.1);
        *since = now;
        spent
    }

    fn group(&self, path: &str) -> SourceKind {
        SourceKind::Group(GroupId(
            self.sandbox.with_world(|world| world.group_at(path).unwrap().id),
        ))
    }

    fn project(&self, path: &str) -> SourceKind {
        SourceKind::Project(ProjectId(
            self.sandbox.with_world(|world| world.project_at(path).unwrap().id),
        ))
    }
}

fn application() -> ApplicationFields {
    ApplicationFields {
        name: "Factory Integration".to_owned(),
        redirect_uris: ["https://b.example.com/x", "https://a.example.com/x"]
            .map(str::to_owned)
            .into(),
        trusted: Known::Known(true),
        confidential: true,
        scopes: Known::Known(["api", "read_user"].map(str::to_owned).into()),
    }
}

fn droid() -> UserFields {
    UserFields {
        username: "factory-droid".into(),
        name: "Factory Droid".to_owned(),
        email: "factory-droid@example.com".into(),
    }
}

fn paths(list: &[&str]) -> BTreeSet<FullPath> {
    list.iter().map(FullPath::new).collect()
}

#[tokio::test]
async fn it_says_who_it_is_and_what_it_talks_to() {
    let bench = Bench::with(&["gitlab_version=17.10.2-ee"], Options::default()).await;
    let version = bench.api.version().await.unwrap();
    assert_eq!((version.major, version.minor), (17, 10));
    let own = bench.api.own_user().await.unwrap();
    assert_eq!((own.username.as_str(), own.is_admin), ("root", true));
    let Known::Known(scopes) = bench.api.supported_scopes().await.unwrap() else {
        panic!("the instance says which scopes it knows")
    };
    assert!(scopes.contains("write_observability"), "{scopes:?}");
}

#[tokio::test]
async fn an_old_gitlab_is_refused_with_both_versions() {
    let bench = Bench::with(&["gitlab_version=16.10.5"], Options::default()).await;
    let error = bench.api.version().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error.message.contains("16.10.5") && error.message.contains("16.11"),
        "{error}"
    );
}

#[tokio::test]
async fn an_application_lives_and_its_secret_is_checked_without_a_write() {
    let bench = Bench::new().await;
    let mut spent = (0, 0);
    let (created, secret) = bench.api.create_application(&application()).await.unwrap();
    assert_eq!(bench.spent(&mut spent), (0, 1));
    assert_eq!(created.fields.redirect_uris, application().redirect_uris);
    assert_eq!(created.fields.trusted, Known::Unknown);

    let listed = bench.api.applications().await.unwrap();
    assert!(listed.iter().any(|app| app.uid == created.uid && app.id == created.id));

    let accepts = async |secret: &Secret| bench.api.accepts_secret(&created.uid, secret).await.unwrap();
    assert!(accepts(&secret).await);
    assert!(!accepts(&Secret::new("another-gloas-secret")).await);
    let unknown = ApplicationUid("unknown".to_owned());
    assert!(!bench.api.accepts_secret(&unknown, &secret).await.unwrap());
    assert_eq!(bench.spent(&mut spent), (4, 0));

    let renewed = bench.api.renew_secret(created.id).await.unwrap();
    assert!(!accepts(&secret).await);
    assert!(accepts(&renewed).await);

    let error = bench.api.delete_application(created.id, &unknown).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    bench.api.delete_application(created.id, &created.uid).await.unwrap();
    bench.api.delete_application(created.id, &created.uid).await.unwrap();
    assert_eq!(bench.api.applications().await.unwrap().len(), listed.len() - 1);
}

#[tokio::test]
async fn a_scope_that_gitlab_does_not_know_is_named() {
    let bench = Bench::new().await;
    let mut desired = application();
    desired.scopes = Known::Known(["write_everything".to_owned()].into());
    let error = bench.api.create_application(&desired).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    assert!(error.message.contains(": scopes "), "{error:?}");
}

#[tokio::test]
async fn the_scopes_show_from_19_on() {
    for (version, shown) in [("18.5.1-ee", false), ("19.1.0-ee", true)] {
        let bench = Bench::with(&[&format!("gitlab_version={version}")], Options::default()).await;
        bench.api.create_application(&application()).await.unwrap();
        let listed = bench.api.applications().await.unwrap();
        let ours = listed
            .iter()
            .find(|app| app.fields.name == "Factory Integration")
            .unwrap();
        assert_eq!(ours.fields.scopes == application().scopes, shown, "{version}");
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_made_once() {
    let options = Options {
        intercept: Some(Arc::new(Strike(|seen: &Seen, after| {
            let creation = seen.method == "POST" && seen.path.ends_with("/applications");
            if creation && after { Action::Drop } else { Action::Pass }
        }))),
        ..Options::default()
    };
    let bench = Bench::with(&[], options).await;
    let error = bench.api.create_application(&application()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AnswerLost);
    assert!(error.may_have_been_processed());
    let listed = bench.api.applications().await.unwrap();
    assert_eq!(
        listed
            .iter()
            .filter(|app| app.fields.name == "Factory Integration")
            .count(),
        1
    );
}

#[tokio::test]
async fn the_droid_is_made_found_edited_and_removed() {
    let bench = Bench::new().await;
    assert_eq!(bench.api.user("factory-droid").await.unwrap(), None);
    let password = Secret::new("correct horse battery");
    let made = bench.api.create_user(&droid(), Some(&password)).await.unwrap();
    assert!(made.confirmed);
    assert_eq!((&made.state, made.is_admin), (&UserState::Active, false));

    let found = bench.api.user("Factory-Droid").await.unwrap().unwrap();
    assert_eq!(found.id, made.id);
    let holder = bench.api.user_with_email("FACTORY-DROID@example.com").await.unwrap();
    assert_eq!(holder.as_deref(), Some("factory-droid"));
    assert_eq!(bench.api.user_with_email("nobody@example.com").await.unwrap(), None);
    bench.sandbox.with_world(|world| {
        let droid = world.user_mut(made.id.0).unwrap();
        droid.secondary_emails.push("spare@example.com".to_owned());
    });
    let holder = bench.api.user_with_email("Spare@example.com").await.unwrap();
    assert_eq!(holder.as_deref(), Some("factory-droid"));

    let edit = UserEdit::from_iter([
        UserAttribute::Username("droid".into()),
        UserAttribute::Email("droid@example.com".into()),
    ]);
    let edited = bench.api.edit_user(made.id, &edit).await.unwrap();
    assert_eq!(
        (&*edited.fields.username, &*edited.fields.email),
        ("droid", "droid@example.com")
    );
    assert_eq!(edited.fields.name, "Factory Droid");

    bench.api.block_user(made.id).await.unwrap();
    assert_eq!(
        bench.api.user("droid").await.unwrap().unwrap().state,
        UserState::Blocked
    );
    bench.api.unblock_user(made.id).await.unwrap();
    assert_eq!(bench.api.user("droid").await.unwrap().unwrap().state, UserState::Active);

    bench.api.delete_user(made.id).await.unwrap();
    bench.api.delete_user(made.id).await.unwrap();
    assert_eq!(bench.api.user("droid").await.unwrap(), None);
}

#[tokio::test]
async fn a_user_needs_no_password_and_a_taken_name_is_a_conflict() {
    let bench = Bench::new().await;
    let made = bench.api.create_user(&droid(), None).await.unwrap();
    // The very same account is what an attempt made whose answer nobody saw.
    assert_eq!(bench.api.create_user(&droid(), None).await.unwrap().id, made.id);
    let other = UserFields {
        email: "somebody@example.com".into(),
        ..droid()
    };
    let error = bench.api.create_user(&other, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("already been taken"), "{error}");
}

#[tokio::test]
async fn an_unblock_that_gitlab_answers_with_false_has_failed() {
    let bench = Bench::new().await;
    let made = bench.api.create_user(&droid(), None).await.unwrap();
    bench.api.block_user(made.id).await.unwrap();
    bench
        .sandbox
        .with_world(|world| world.user_mut(made.id.0).unwrap().invalid = true);
    let error = bench.api.unblock_user(made.id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("did not unblock the account"), "{error}");
    assert_eq!(
        bench.api.user("factory-droid").await.unwrap().unwrap().state,
        UserState::Blocked
    );
}

#[tokio::test]
async fn a_password_that_gitlab_refuses_is_not_in_the_error() {
    let bench = Bench::new().await;
    let password = Secret::new("sh0rt7");
    let error = bench.api.create_user(&droid(), Some(&password)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid), "{error:?}");
    assert!(
        error.message.contains("password is too short") && !error.message.contains("sh0rt7"),
        "{error}"
    );
}

#[tokio::test]
async fn names_are_held_by_users_groups_or_nobody() {
    let bench = Bench::new().await;
    let holder = async |name: &str| bench.api.namespace_holder(name).await.unwrap();
    assert_eq!(holder("platform").await, Some(NamespaceKind::Group));
    assert_eq!(holder("Root").await, Some(NamespaceKind::User));
    assert_eq!(holder("factory-droid").await, None);
}

#[tokio::test]
async fn memberships_are_added_once_changed_listed_and_removed() {
    let bench = Bench::new().await;
    let user = bench.api.create_user(&droid(), None).await.unwrap().id;
    let (group, project) = (bench.group("platform/services"), bench.project("web/storefront"));
    for source in [group, project] {
        bench
            .api
            .add_member(source, user, Role::Developer.into())
            .await
            .unwrap();
        bench
            .api
            .add_member(source, user, Role::Developer.into())
            .await
            .unwrap();
    }
    let error = bench.api.add_member(group, user, Role::Owner.into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    bench
        .api
        .edit_member(project, user, Role::Maintainer.into())
        .await
        .unwrap();

    let mut spent = (0, 0);
    bench.spent(&mut spent);
    let mut listed: Vec<_> = bench
        .api
        .memberships(user)
        .await
        .unwrap()
        .into_iter()
        .map(|membership| (membership.source, membership.fields.role))
        .collect();
    listed.sort();
    assert_eq!(listed, [(group, Role::Developer), (project, Role::Maintainer)]);
    assert_eq!(bench.spent(&mut spent), (2, 0));

    bench.api.remove_member(group, user).await.unwrap();
    bench.api.remove_member(group, user).await.unwrap();
    assert_eq!(bench.api.memberships(user).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_membership_below_one_that_is_removed_stays() {
    let bench = Bench::new().await;
    let user = bench.api.create_user(&droid(), None).await.unwrap().id;
    let group = bench.group("platform");
    let below = [
        bench.group("platform/services"),
        bench.project("platform/services/billing"),
    ];
    for source in [below[1], below[0], group] {
        bench
            .api
            .add_member(source, user, Role::Maintainer.into())
            .await
            .unwrap();
    }
    bench.api.remove_member(group, user).await.unwrap();
    let mut left: Vec<_> = bench.api.memberships(user).await.unwrap();
    left.sort_by_key(|membership| membership.source);
    let left: Vec<_> = left.into_iter().map(|membership| membership.source).collect();
    assert_eq!(left, below);
}

#[tokio::test]
async fn memberships_come_in_pages() {
    let bench = Bench::new().await;
    let user = bench.api.create_user(&droid(), None).await.unwrap().id;
    bench.sandbox.with_world(|world| {
        for number in 0..250 {
            let project = world.add_project(&format!("web/m{number}"), "M", Visibility::Private);
            world.set_member(sandbox::world::Source::Project(project), user.0, 30);
        }
    });
    let mut spent = (0, 0);
    bench.spent(&mut spent);
    assert_eq!(bench.api.memberships(user).await.unwrap().len(), 250);
    // Three pages of projects, and one of groups.
    assert_eq!(bench.spent(&mut spent), (4, 0));
}

#[tokio::test]
async fn a_few_paths_are_one_request_and_each_that_leads_nowhere_one_more() {
    let bench = Bench::new().await;
    let (group, project) = (bench.group("platform/services"), bench.project("web/storefront"));
    let mut spent = (0, 0);
    let asked = paths(&[
        "platform",
        "Platform/Services",
        "web/Storefront",
        "platform/archive/monolith",
    ]);
    let resolved = bench.api.resolve(&asked).await.unwrap();
    assert_eq!(bench.spent(&mut spent), (1, 0));
    let of = |path: &str| &resolved.paths[&FullPath::new(path)];
    assert_eq!(*of("platform/services"), Resolution::Found(group));
    assert_eq!(*of("web/storefront"), Resolution::Found(project));
    assert_eq!(resolved.projects.len(), 2);
    assert!(resolved.projects.iter().any(|project| project.archived));

    let asked = paths(&["platform/services/basket", "platform/none", "web/landing-pages"]);
    let resolved = bench.api.resolve(&asked).await.unwrap();
    let of = |path: &str| &resolved.paths[&FullPath::new(path)];
    assert_eq!(*of("platform/none"), Resolution::NotFound);
    let source = bench.project("platform/services/cart");
    let to = FullPath::new("platform/services/cart");
    assert_eq!(*of("platform/services/basket"), Resolution::Moved { source, to });
    let doomed = resolved
        .projects
        .iter()
        .find(|project| project.pending_deletion)
        .unwrap();
    assert_eq!(doomed.path, FullPath::new("web/landing-pages"));
    // GraphQL, the missing one, and the moved one with its redirect.
    assert_eq!(bench.spent(&mut spent), (4, 0));
}

#[tokio::test]
async fn many_paths_go_in_batches() {
    let bench = Bench::new().await;
    let mut asked = paths(&["platform", "web", "data/pipelines/batch"]);
    bench.sandbox.with_world(|world| {
        for number in 0..120 {
            let path = format!("web/p{number}");
            world.add_project(&path, "P", Visibility::Private);
            asked.insert(FullPath::new(path));
        }
    });
    let mut spent = (0, 0);
    let resolved = bench.api.resolve(&asked).await.unwrap();
    assert_eq!(resolved.paths.len(), 123);
    assert!(
        resolved
            .paths
            .values()
            .all(|resolution| matches!(resolution, Resolution::Found(_)))
    );
    assert_eq!(resolved.projects.len(), 120);
    // 121 paths that may be projects in three batches, then three groups in one.
    assert_eq!(bench.spent(&mut spent), (4, 0));
    assert!(bench.api.resolve(&BTreeSet::new()).await.unwrap().paths.is_empty());
    assert_eq!(bench.spent(&mut spent), (0, 0));
}

#[tokio::test]
async fn a_gitlab_without_the_mark_of_deletion_is_asked_without_it() {
    let fault = |field: &str| {
        let message = format!("Field '{field}' doesn't exist on type 'Project'");
        serde_json::json!({ "errors": [{ "message": message }] }).to_string()
    };
    let options = Options {
        intercept: Some(Arc::new(Strike(move |seen: &Seen, after| {
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            let fields = ["markedForDeletionOn", "markedForDeletion"];
            let asked_for = fields.into_iter().find(|field| body.contains(field));
            let (false, Some(field)) = (after, asked_for) else {
                return Action::Pass;
            };
            Action::Respond {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: fault(field),
            }
        }))),
        ..Options::default()
    };
    let bench = Bench::with(&[], options).await;
    let mut spent = (0, 0);
    // With the mark of groups, with the project's own, and without.
    for requests in [3, 1] {
        let resolved = bench.api.resolve(&paths(&["web/storefront"])).await.unwrap();
        assert_eq!(resolved.projects.len(), 1);
        assert_eq!(bench.spent(&mut spent), (requests, 0));
    }
}

#[tokio::test]
async fn a_small_instance_is_one_page() {
    let bench = Bench::new().await;
    let mut spent = (0, 0);
    let all = bench.api.projects(None).await.unwrap();
    assert_eq!(all.len(), bench.sandbox.with_world(|world| world.projects.len()));
    assert!(all.iter().any(|project| project.archived) && all.iter().any(|project| project.pending_deletion));
    assert_eq!(bench.spent(&mut spent), (1, 0));
}

#[tokio::test]
async fn a_large_instance_is_read_in_ranges_under_another_name_and_root() {
    let options = Options {
        gitlab_external_url: Some("https://gitlab.example.com/git".to_owned()),
        ..Options::default()
    };
    let bench = Bench::with(&["relative_url_root=/git"], options).await;
    bench.sandbox.with_world(|world| {
        for number in 0..2458 {
            world.add_project(&format!("data/q{number}"), "Q", Visibility::Private);
        }
    });
    let mut spent = (0, 0);
    let all = bench.api.projects(None).await.unwrap();
    assert_eq!(all.len(), 2500);
    assert!(all.is_sorted_by(|one, next| one.id < next.id));
    // 25 pages; each of the two ranges may end with one that is not full.
    let (reads, _) = bench.spent(&mut spent);
    assert!((25..=27).contains(&reads), "{reads}");
}

#[tokio::test]
async fn a_group_is_read_by_its_pages_and_holds_no_shared_or_similar_ones() {
    let bench = Bench::new().await;
    bench.sandbox.with_world(|world| {
        world.add_group("platform-tools", "Platform Tools", Visibility::Private);
        world.add_project("platform-tools/x", "X", Visibility::Private);
        for number in 0..260 {
            world.add_project(&format!("platform/services/r{number}"), "R", Visibility::Private);
        }
    });
    let expected = bench.sandbox.with_world(|world| {
        let below = |project: &&sandbox::world::Project| project.full_path.starts_with("platform/");
        world.projects.iter().filter(below).count()
    });
    let mut spent = (0, 0);
    let below = Below {
        path: &FullPath::new("Platform"),
        id: None,
    };
    let found = bench.api.projects(Some(&below)).await.unwrap();
    assert_eq!(found.len(), expected);
    assert_eq!(bench.spent(&mut spent), (3, 0));
}

#[tokio::test]
async fn a_token_without_admin_mode_is_told_what_it_lacks() {
    let bench = Bench::with(&["admin_mode=true"], Options::default()).await;
    bench.sandbox.with_world(|world| {
        world.switches.token_scopes_missing.insert("admin_mode".to_owned());
    });
    let error = bench.api.applications().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.hint.unwrap().contains("admin_mode"));
}

#[tokio::test]
async fn a_wrong_token_is_told_so() {
    let bench = Bench::new().await;
    bench.sandbox.with_world(|world| world.personal_tokens.clear());
    let error = bench.api.own_user().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.message.starts_with("GitLab does not accept the token"), "{error}");
}
