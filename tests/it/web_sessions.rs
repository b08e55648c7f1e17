//! GitLab's web sessions against the embedded GitLab: what is read and edited on admin pages, how the droid approves
//! Factory's access, each way in which GitLab refuses, and that nothing is sent anywhere else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use setpoint::gitlab::web::{
    Account, AdminSession, Authenticator, Clock, Droid, DroidSignIn, Keeper, NotEnrolled, Totp, WebOptions,
};
use setpoint::gitlab::{AdminRead as _, AdminWrite as _, Approval, DroidSession as _, EndSession as _, KeyPlace};
use setpoint::http::{ClientOptions, Error, ErrorKind, RetryPolicy};
use setpoint::model::{ApplicationAttribute, ApplicationEdit, ApplicationId, ApplicationUid, Known};
use setpoint::sandbox::faults::{Action, Intercept, Seen};
use setpoint::sandbox::world::{Application, OauthToken, User, UserState, World, digest};
use setpoint::sandbox::{self, Options, Sandbox};
use setpoint::secrets::Secret;
use url::Url;

use super::common::doorkeeper;
use super::common::plans::{DROID, add_droid};

const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const REDIRECT: &str = "https://app.example.com/api/integrations/redirect/gitlab-sh";
const UID: &str = "droid-application";

/// The sandbox with a droid and an application, and what sessions are made of.
struct Bench {
    sandbox: Arc<Sandbox>,
    options: WebOptions,
}

/// The sandbox's clock, which jumps where somebody would sleep.
struct WorldClock(Arc<Sandbox>);

#[async_trait]
impl Clock for WorldClock {
    fn now(&self) -> u64 {
        u64::try_from(self.0.with_world(|world| world.now()).as_second()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        let seconds = i64::try_from(duration.as_secs()).unwrap();
        self.0
            .with_world(|world| world.switches.clock_offset_seconds += seconds);
    }
}

/// Strikes requests by a closure.
struct Injector<F>(F);

impl<F: Fn(&Seen, bool) -> Action + Send + Sync> Intercept for Injector<F> {
    fn before(&self, request: &Seen) -> Action {
        self.0(request, false)
    }

    fn after(&self, request: &Seen, _status: u16) -> Action {
        self.0(request, true)
    }
}

impl Bench {
    async fn new(switches: &[&str]) -> Self {
        Self::with(switches, Options::default()).await
    }

    async fn with_injector(switches: &[&str], inject: impl Fn(&Seen, bool) -> Action + Send + Sync + 'static) -> Self {
        let intercept: Arc<dyn Intercept> = Arc::new(Injector(inject));
        let options = Options {
            intercept: Some(intercept),
            ..Options::default()
        };
        Self::with(switches, options).await
    }

    async fn with(switches: &[&str], mut options: Options) -> Self {
        for switch in switches {
            options.switches.set(switch).unwrap();
        }
        let external = options.gitlab_external_url.clone();
        let sandbox = Arc::new(sandbox::start(options).await.unwrap());
        sandbox.with_world(furnish);
        let url: Url = sandbox.gitlab_url().parse().unwrap();
        let mut client = ClientOptions::new(&setpoint::gitlab::PEER, url.clone());
        client.retry = RetryPolicy {
            sleep: Arc::new(|_| Box::pin(std::future::ready(()))),
            ..RetryPolicy::default()
        };
        let options = WebOptions {
            client,
            external_url: external.map_or_else(|| url.clone(), |text| text.parse().unwrap()),
            clock: Arc::new(WorldClock(Arc::clone(&sandbox))),
            doorkeeper: doorkeeper(&url),
            droid_key_place: KeyPlace::Secret,
        };
        Self { sandbox, options }
    }

    fn admin(&self) -> Arc<AdminSession> {
        self.admin_as("root", sandbox::ROOT_PASSWORD, None)
    }

    fn admin_as(&self, username: &str, password: &str, totp: Option<&str>) -> Arc<AdminSession> {
        let account = Account {
            username: username.to_owned(),
            password: Secret::new(password),
            totp: totp.map(authenticator),
            provider: None,
        };
        Arc::new(AdminSession::new(self.options.clone(), account))
    }

    fn by_password(&self, password: &str, totp: Option<&str>) -> Droid {
        let how = DroidSignIn::Password {
            password: Secret::new(password),
            totp: totp.map(authenticator),
            provider: None,
        };
        Droid::new(self.options.clone(), how)
    }

    fn droid(&self) -> Droid {
        self.by_password(sandbox::DROID_PASSWORD, None)
    }

    fn impersonated(&self, admin: &Arc<AdminSession>) -> Droid {
        Droid::new(self.options.clone(), DroidSignIn::Impersonate(Arc::clone(admin)))
    }

    fn application(&self) -> ApplicationId {
        ApplicationId(self.look(|world| world.application_by_uid(UID).unwrap().id))
    }

    fn look<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        self.sandbox.with_world(f)
    }

    fn change(&self, username: &str, f: impl FnOnce(&mut User)) {
        self.look(|world| {
            let id = world.user_named(username).unwrap().id;
            f(world.user_mut(id).unwrap());
        });
    }

    fn change_application(&self, f: impl FnOnce(&mut Application)) {
        self.look(|world| f(world.applications.iter_mut().find(|one| one.uid == UID).unwrap()));
    }

    fn authorize_url(&self) -> String {
        let base = self.options.external_url.as_str().trim_end_matches('/').to_owned();
        authorize_url(&format!("{base}/oauth/authorize"))
    }

    async fn authorize(&self, droid: &Droid) -> Result<Url, Error> {
        approve(droid, &self.authorize_url()).await
    }

    /// How often a request was made.
    fn count(&self, method: &str, path_end: &str) -> usize {
        let seen = self.sandbox.requests();
        seen.iter()
            .filter(|request| request.method == method && request.path.ends_with(path_end))
            .count()
    }

    /// Usernames of live sessions, and whether an administrator stands behind them.
    fn signed_in(&self) -> Vec<(String, bool)> {
        self.look(|world| {
            let live = world.sessions.iter().filter_map(|session| {
                let user = world.user(session.user_id?)?;
                Some((user.username.clone(), session.impersonator_id.is_some()))
            });
            live.collect()
        })
    }
}

fn furnish(world: &mut World) {
    add_droid(world, sandbox::DROID_PASSWORD);
    let id = world.next_id("application");
    world.applications.push(Application {
        id,
        uid: UID.to_owned(),
        name: "Factory <Integration>".to_owned(),
        redirect_uri: format!("https://old.example.com/callback\r\n{REDIRECT}"),
        scopes: vec!["api".to_owned(), "read_user".to_owned()],
        confidential: true,
        trusted: false,
        ..Application::default()
    });
}

fn authenticator(secret: &str) -> Arc<Totp> {
    Arc::new(Totp::new(&Secret::new(secret)).unwrap())
}

async fn approve(droid: &Droid, authorize_url: &str) -> Result<Url, Error> {
    approve_as(droid, authorize_url, DROID).await
}

async fn approve_as(droid: &Droid, authorize_url: &str, username: &str) -> Result<Url, Error> {
    let approval = Approval {
        application: &ApplicationUid(UID.to_owned()),
        scopes: &set(&["api", "read_user"]),
        redirect_uris: &redirect_uris(),
    };
    droid.authorize(authorize_url, &approval, username).await
}

fn redirect_uris() -> BTreeSet<String> {
    BTreeSet::from([REDIRECT.to_owned()])
}

fn authorize_url(base: &str) -> String {
    let mut url: Url = base.parse().unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", UID)
        .append_pair("redirect_uri", REDIRECT)
        .append_pair("response_type", "code")
        .append_pair("state", "s t&te")
        .append_pair("scope", "api read_user");
    url.into()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn assert_callback(callback: &Url) {
    assert_eq!(
        format!("{}{}", callback.origin().ascii_serialization(), callback.path()),
        REDIRECT
    );
    let value = |name: &str| {
        callback
            .query_pairs()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .into_owned()
    };
    assert_eq!(value("state"), "s t&te");
    assert!(!value("code").is_empty());
}

#[tokio::test]
async fn applications_are_read_and_edited_in_place() {
    for version in ["16.11.0", "17.9.1", "18.5.1-ee", "19.0.0"] {
        let bench = Bench::new(&[&format!("gitlab_version={version}")]).await;
        let (admin, id) = (bench.admin(), bench.application());
        bench.look(|world| {
            let token = OauthToken {
                id: 1,
                application_id: id.0,
                user_id: 1,
                ..OauthToken::default()
            };
            world.oauth_tokens.push(token);
        });
        let read = admin.application(id).await.unwrap();
        assert_eq!(read.name, "Factory <Integration>");
        assert_eq!(read.redirect_uris, set(&["https://old.example.com/callback", REDIRECT]));
        assert_eq!(read.trusted, Known::Known(false));
        assert_eq!(read.scopes, Known::Known(set(&["api", "read_user"])));

        let edit = ApplicationEdit::from_iter([
            ApplicationAttribute::Trusted(true),
            ApplicationAttribute::RedirectUris(redirect_uris()),
            ApplicationAttribute::Scopes(set(&["api", "read_api"])),
        ]);
        admin.edit_application(id, &edit).await.unwrap();
        bench.look(|world| {
            let now = world.application_by_uid(UID).unwrap();
            assert!(now.trusted && now.confidential);
            assert_eq!(now.id, id.0);
            assert_eq!(now.name, "Factory <Integration>");
            assert_eq!(now.redirect_uri, REDIRECT);
            assert_eq!(
                set(&now.scopes.iter().map(String::as_str).collect::<Vec<_>>()),
                set(&["api", "read_api"])
            );
            assert_eq!(world.oauth_tokens.len(), 1);
        });
        // What is so already is not written again.
        let before = bench.sandbox.requests().len();
        admin.edit_application(id, &edit).await.unwrap();
        assert!(
            bench.sandbox.requests()[before..]
                .iter()
                .all(|request| request.method == "GET")
        );
        assert_eq!(bench.count("POST", "/users/sign_in"), 1);
        assert_eq!(bench.signed_in(), [("root".to_owned(), false)]);
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty());
        admin.end().await.unwrap();
        assert_eq!(bench.count("POST", "/users/sign_out"), 1);
    }
}

#[tokio::test]
async fn admin_mode_takes_the_password_and_the_next_code() {
    let bench = Bench::new(&["admin_mode=true"]).await;
    bench.change("root", |root| root.totp_secret = Some(TOTP_SECRET.to_owned()));
    let admin = bench.admin_as("root", sandbox::ROOT_PASSWORD, Some(TOTP_SECRET));
    let (one, two) = tokio::join!(
        admin.application(bench.application()),
        admin.application(bench.application())
    );
    assert_eq!(one.unwrap().trusted, Known::Known(false));
    assert_eq!(two.unwrap().trusted, Known::Known(false));
    // Password and code, each once, at both doors.
    assert_eq!(bench.count("POST", "/users/sign_in"), 2);
    assert_eq!(bench.count("POST", "/admin/session"), 2);
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::Trusted(true)]);
    admin.edit_application(bench.application(), &edit).await.unwrap();
    assert!(bench.look(|world| world.application_by_uid(UID).unwrap().trusted));
    // Admin Mode ends by itself; the session goes on through its door.
    bench.look(|world| {
        world
            .sessions
            .iter_mut()
            .for_each(|session| session.admin_mode_until = None);
    });
    admin.application(bench.application()).await.unwrap();
    admin.end().await.unwrap();
}

#[tokio::test]
async fn a_session_that_ended_is_opened_again() {
    // Where another provider is the default, whoever is not signed in is led there and sees no form.
    let elsewhere = ["sso_providers=[\"saml\"]", "auto_sign_in_with_provider=saml"];
    for switches in [&[][..], &elsewhere[..]] {
        let bench = Bench::new(switches).await;
        let (admin, droid) = (bench.admin(), bench.droid());
        admin.application(bench.application()).await.unwrap();
        droid.evidence(DROID).await.unwrap();
        bench.look(|world| world.sessions.clear());
        admin.application(bench.application()).await.unwrap();
        assert_callback(&bench.authorize(&droid).await.unwrap());
        bench.look(|world| world.sessions.clear());
        droid.evidence(DROID).await.unwrap();
        assert_eq!(bench.count("POST", "/users/sign_in"), 5, "{switches:?}");
    }
}

#[tokio::test]
async fn what_gitlab_has_against_an_edit_is_quoted() {
    let bench = Bench::new(&["no_observability_scopes=true"]).await;
    let (admin, id) = (bench.admin(), bench.application());
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::RedirectUris(set(&["javascript:alert(1)"]))]);
    let error = admin.edit_application(id, &edit).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid), "{error:?}");
    assert!(error.message.to_lowercase().contains("redirect"), "{error}");
    let posts = bench.count("POST", "/admin/applications/1");
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::Scopes(set(&["api", "read_observability"]))]);
    let error = admin.edit_application(id, &edit).await.unwrap_err();
    assert!(error.message.contains("read_observability"), "{error}");
    assert_eq!(bench.count("POST", "/admin/applications/1"), posts);
    let error = admin.application(ApplicationId(4711)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let nobody = bench.admin_as(DROID, sandbox::DROID_PASSWORD, None);
    let error = nobody.application(id).await.unwrap_err();
    assert!(error.message.contains("no administrator"), "{error}");
}

#[tokio::test]
async fn an_edit_whose_answer_is_lost_is_looked_up() {
    let bench = Bench::with_injector(&[], |request, after| {
        let edit = request.method == "POST" && request.path.contains("/admin/applications/");
        if edit && after { Action::Drop } else { Action::Pass }
    })
    .await;
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::Trusted(true)]);
    bench
        .admin()
        .edit_application(bench.application(), &edit)
        .await
        .unwrap();
    let posts = bench.sandbox.requests();
    assert_eq!(
        posts
            .iter()
            .filter(|one| one.method == "POST" && one.path.contains("/admin/applications/"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_page_that_is_not_understood_is_never_answered() {
    let bench = Bench::with_injector(&[], |request, _| {
        if !request.path.ends_with("/edit") {
            return Action::Pass;
        }
        let form = "<form action='/admin/applications/1' method='post'><input name='x'></form>";
        Action::Respond {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: format!("<title>Edit something</title>{form}"),
        }
    })
    .await;
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::Trusted(true)]);
    let error = bench
        .admin()
        .edit_application(bench.application(), &edit)
        .await
        .unwrap_err();
    assert!(
        error.message.contains("Edit something") && error.message.contains("redirect_uri"),
        "{error}"
    );
    assert_eq!(
        bench
            .sandbox
            .requests()
            .iter()
            .filter(|one| one.method == "POST")
            .count(),
        1
    );
}

#[tokio::test]
async fn the_droid_consents_once_and_a_trusted_application_needs_none() {
    let bench = Bench::new(&[]).await;
    let droid = bench.droid();
    assert_callback(&bench.authorize(&droid).await.unwrap());
    assert_eq!(bench.count("POST", "/oauth/authorize"), 1);
    bench.change_application(|application| application.trusted = true);
    assert_callback(&bench.authorize(&droid).await.unwrap());
    assert_eq!(bench.count("POST", "/oauth/authorize"), 1);
    let grants = bench.look(|world| {
        let droid = world.user_named(DROID).unwrap().id;
        world.grants.iter().filter(|grant| grant.user_id == droid).count()
    });
    assert!(grants >= 2);
    assert_eq!(bench.count("POST", "/users/sign_in"), 1);
    droid.end().await.unwrap();
    assert!(bench.signed_in().is_empty());
}

#[tokio::test]
async fn two_factor_authentication_is_passed_with_a_code() {
    let bench = Bench::new(&["require_two_factor=true"]).await;
    bench.change(DROID, |droid| droid.totp_secret = Some(TOTP_SECRET.to_owned()));
    let totp = authenticator(TOTP_SECRET);
    let how = DroidSignIn::Password {
        password: Secret::new(sandbox::DROID_PASSWORD),
        totp: Some(totp),
        provider: None,
    };
    let (one, two) = (
        Droid::new(bench.options.clone(), how.clone()),
        Droid::new(bench.options.clone(), how),
    );
    assert_callback(&bench.authorize(&one).await.unwrap());
    // The second session of the account waits for a code of its own.
    assert_callback(&bench.authorize(&two).await.unwrap());
    // A code that somebody else has used in this step is followed by the next one.
    bench.look(|world| {
        let step = world.now().as_second() / 30;
        let id = world.user_named(DROID).unwrap().id;
        world.user_mut(id).unwrap().totp_last_step = Some(step);
    });
    let other = bench.by_password(sandbox::DROID_PASSWORD, Some(TOTP_SECRET));
    assert_callback(&bench.authorize(&other).await.unwrap());
}

/// The page for a second factor, as a form and as a component without one, at both doors.
#[tokio::test]
async fn a_code_gets_in_by_either_shape_of_the_page() {
    for shape in ["18.5", "19.3", "19.5"] {
        let pages = format!("pages.second_factor={shape}");
        let bench = Bench::new(&[&pages, "admin_mode=true"]).await;
        for who in ["root", DROID] {
            bench.change(who, |user| user.totp_secret = Some(TOTP_SECRET.to_owned()));
        }
        let admin = bench.admin_as("root", sandbox::ROOT_PASSWORD, Some(TOTP_SECRET));
        admin.application(bench.application()).await.unwrap();
        let droid = bench.by_password(sandbox::DROID_PASSWORD, Some(TOTP_SECRET));
        assert_callback(&bench.authorize(&droid).await.unwrap());
        // Password and code, each once: of both accounts, and of the administrator for Admin Mode.
        assert_eq!(bench.count("POST", "/users/sign_in"), 4, "{shape}");
        assert_eq!(bench.count("POST", "/admin/session"), 2, "{shape}");
        let wrong = bench.by_password(sandbox::DROID_PASSWORD, Some("MFRGGZDFMZTWQ2LK"));
        let error = bench.authorize(&wrong).await.unwrap_err();
        assert_says(&error, ErrorKind::Unauthorized, "user.totp_secret");
        for session in [&droid, &wrong] {
            session.end().await.unwrap();
        }
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty(), "{shape}");
    }
}

#[tokio::test]
async fn a_second_factor_that_is_no_code_is_told_by_what_it_is() {
    for shape in ["19.3", "19.5"] {
        let pages = format!("pages.second_factor={shape}");
        let bench = Bench::new(&[&pages]).await;
        bench.change(DROID, |droid| droid.security_key = true);
        let droid = bench.by_password(sandbox::DROID_PASSWORD, Some(TOTP_SECRET));
        let error = bench.authorize(&droid).await.unwrap_err();
        assert_says(&error, ErrorKind::PersonNeeded, "a security key");
        assert_says(&error, ErrorKind::PersonNeeded, "register an authenticator");
        assert_eq!(bench.count("POST", "/users/sign_in"), 1, "{shape}");
    }
}

/// A page that no GitLab has is never answered twice, and the error names what was looked for.
#[tokio::test]
async fn a_page_of_no_generation_is_an_error_that_names_what_was_looked_for() {
    for (kind, said) in [
        ("sign_in", "sign-in form"),
        ("second_factor", "signed in"),
        ("admin_mode", "form for admin mode"),
        ("application", "form of an application"),
    ] {
        let pages = format!("pages.{kind}=unknown");
        let bench = Bench::new(&[&pages, "admin_mode=true"]).await;
        bench.change("root", |root| root.totp_secret = Some(TOTP_SECRET.to_owned()));
        let admin = bench.admin_as("root", sandbox::ROOT_PASSWORD, Some(TOTP_SECRET));
        for _ in 0..2 {
            let error = admin.application(bench.application()).await.unwrap_err();
            let told = error.message.to_lowercase();
            assert!(told.contains(said), "{kind}: {told}");
        }
        assert!(bench.count("POST", "/users/sign_in") <= 2, "{kind}");
        assert!(bench.count("POST", "/admin/session") <= 2, "{kind}");
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty(), "{kind}");
    }
}

/// The right password of the right account, from an address that GitLab has not seen, is what locks it.
#[tokio::test]
async fn nobody_signs_in_where_the_right_password_locks_the_account() {
    let switch = "require_email_verification_on_account_locked=true";
    let bench = Bench::new(&["gitlab_version=19.3.0", switch]).await;
    let admin = bench.admin();
    for _ in 0..2 {
        let error = admin.application(bench.application()).await.unwrap_err();
        assert_says(&error, ErrorKind::PersonNeeded, "gitlab.admin_session.totp_secret");
        let error = bench.authorize(&bench.droid()).await.unwrap_err();
        assert_says(&error, ErrorKind::PersonNeeded, "user.totp_secret");
        // A key of an authenticator that GitLab does not know spares nobody.
        let keyed = bench.by_password(sandbox::DROID_PASSWORD, Some(TOTP_SECRET));
        let error = bench.authorize(&keyed).await.unwrap_err();
        assert_says(&error, ErrorKind::PersonNeeded, "knows no authenticator");
    }
    assert_eq!(
        bench.count("POST", "/users/sign_in") + bench.count("GET", "/users/sign_in"),
        0
    );
    bench.change(DROID, |droid| droid.totp_secret = Some(TOTP_SECRET.to_owned()));
    let droid = bench.by_password(sandbox::DROID_PASSWORD, Some(TOTP_SECRET));
    assert_callback(&bench.authorize(&droid).await.unwrap());
}

/// A GitLab that does not show the setting, and has it on.
#[tokio::test]
async fn a_code_by_mail_is_told_with_the_way_out() {
    let switch = "require_email_verification_on_account_locked=true";
    let bench = Bench::new(&["gitlab_version=17.11.0", switch]).await;
    bench.change(DROID, |droid| {
        droid.known_addresses.insert("192.0.2.7".to_owned());
    });
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert_says(&error, ErrorKind::PersonNeeded, "sent by e-mail");
    assert_says(&error, ErrorKind::PersonNeeded, "register an authenticator");
    assert!(!error.hint.unwrap().to_lowercase().contains("browser"));
}

#[tokio::test]
async fn external_addresses_are_opened_at_url() {
    let options = Options {
        gitlab_external_url: Some("https://gitlab.example.com/git".to_owned()),
        ..Options::default()
    };
    let bench = Bench::with(&["relative_url_root=/git"], options).await;
    assert!(bench.options.client.base_url.path().starts_with("/git"));
    let admin = bench.admin();
    let droid = bench.impersonated(&admin);
    assert!(
        bench
            .authorize_url()
            .starts_with("https://gitlab.example.com/git/oauth/authorize?")
    );
    assert_callback(&bench.authorize(&droid).await.unwrap());
    let edit = ApplicationEdit::from_iter([ApplicationAttribute::Trusted(true)]);
    admin.edit_application(bench.application(), &edit).await.unwrap();
    assert!(
        bench
            .sandbox
            .requests()
            .iter()
            .all(|request| request.path.starts_with("/git/"))
    );
    admin.end().await.unwrap();
    let own = bench.droid();
    assert_callback(&bench.authorize(&own).await.unwrap());
    own.end().await.unwrap();
    assert!(bench.signed_in().is_empty());
}

#[tokio::test]
async fn redirects_to_the_external_address_are_followed_at_url() {
    let external = "https://gitlab.example.com";
    let options = Options {
        gitlab_external_url: Some(external.to_owned()),
        intercept: Some(Arc::new(Injector(move |request: &Seen, after: bool| {
            if after || request.path != "/admin/applications/7/edit" {
                return Action::Pass;
            }
            let location = format!("{external}/admin/applications/8/edit?x=1");
            Action::Respond {
                status: 302,
                headers: vec![("location".to_owned(), location)],
                body: String::new(),
            }
        }))),
        ..Options::default()
    };
    let bench = Bench::with(&[], options).await;
    let error = bench.admin().application(ApplicationId(7)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert_eq!(bench.count("GET", "/admin/applications/8/edit"), 1);
}

#[tokio::test]
async fn an_authorize_url_of_anybody_else_sends_nothing() {
    let bench = Bench::new(&[]).await;
    let good = bench.authorize_url();
    let droid = bench.droid();
    for evil in [
        authorize_url("https://gitlab.evil.example/oauth/authorize"),
        authorize_url("http://127.0.0.1:1/oauth/authorize"),
        good.replace("/oauth/authorize", "/oauth/authorize/native"),
        good.replace("app.example.com", "app.evil.example"),
        good.replace("response_type=code", "response_type=token"),
        good.replace(UID, "another-application"),
        good.replace("api+read_user", "api+sudo"),
        good.replace("http://", "http://root:pw@"),
        "no url".to_owned(),
    ] {
        let error = approve(&droid, &evil).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{evil}: {error}");
    }
    droid.end().await.unwrap();
    assert!(bench.sandbox.requests().is_empty());
}

#[tokio::test]
async fn nothing_follows_gitlab_to_another_place() {
    let to_evil = |path: &'static str| {
        move |request: &Seen, after: bool| {
            if after || request.path != path {
                return Action::Pass;
            }
            let location = "http://127.0.0.1:1/stolen?code=c0de&state=s".to_owned();
            Action::Respond {
                status: 302,
                headers: vec![("location".to_owned(), location)],
                body: String::new(),
            }
        }
    };
    for path in ["/users/sign_in", "/oauth/authorize"] {
        let bench = Bench::with_injector(&[], to_evil(path)).await;
        let error = bench.authorize(&bench.droid()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{path}: {error}");
        assert!(
            error.message.contains("127.0.0.1:1") && !error.message.contains("c0de"),
            "{error}"
        );
        assert_eq!(bench.count("POST", "/oauth/authorize"), 0);
    }
}

#[tokio::test]
async fn errors_of_the_oauth_pages_are_quoted() {
    let bench = Bench::new(&[]).await;
    let droid = bench.droid();
    bench.change_application(|application| "https://other.example.com/".clone_into(&mut application.redirect_uri));
    let error = bench.authorize(&droid).await.unwrap_err();
    assert!(error.message.contains("redirect URI"), "{error}");
    bench.change_application(|application| {
        REDIRECT.clone_into(&mut application.redirect_uri);
        application.scopes = vec!["read_user".to_owned()];
    });
    let error = bench.authorize(&droid).await.unwrap_err();
    assert!(error.message.contains("scope"), "{error}");
    bench.look(|world| world.applications.retain(|application| application.uid != UID));
    let error = bench.authorize(&droid).await.unwrap_err();
    assert!(error.message.contains("client"), "{error}");

    let bench = Bench::new(&["disable_admin_oauth_scopes=true"]).await;
    bench.change(DROID, |droid| droid.admin = true);
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.hint.unwrap().contains("disable_admin_oauth_scopes"));
}

/// Signs in as the droid and gives the refusal, of which no more may be tried than one sign-in.
async fn refusal(switches: &[&str], f: impl FnOnce(&mut User, jiff::Timestamp)) -> Error {
    let bench = Bench::new(switches).await;
    let now = bench.look(|world| world.now());
    bench.change(DROID, |droid| f(droid, now));
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert!(bench.count("POST", "/users/sign_in") <= 1);
    assert!(bench.look(|world| world.grants.is_empty()));
    assert!(!error.message.contains(sandbox::DROID_PASSWORD));
    error
}

fn assert_says(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind, kind, "{error}");
    let all = format!("{} {}", error.message, error.hint.as_deref().unwrap_or_default());
    assert!(all.to_lowercase().contains(words), "{all}");
}

#[tokio::test]
async fn each_refusal_of_a_sign_in_is_told_apart() {
    use ErrorKind::{Forbidden, PersonNeeded, Unauthorized};
    let error = refusal(&[], |droid, _| droid.password_digest = digest("another")).await;
    assert_says(&error, Unauthorized, "user.password");
    let error = refusal(&[], |droid, _| droid.locked = true).await;
    assert_says(&error, Forbidden, "unlock this user");
    let error = refusal(&[], |droid, _| droid.username = "someone".to_owned()).await;
    assert_says(&error, Unauthorized, "there is no such account");
    let error = refusal(&[], |droid, _| droid.state = UserState::Blocked).await;
    assert_says(&error, Forbidden, "unblock");
    let error = refusal(&[], |droid, _| droid.state = UserState::BlockedPendingApproval).await;
    assert_says(&error, Forbidden, "approve");
    let error = refusal(&[], |droid, _| droid.confirmed_at = None).await;
    assert_says(&error, Forbidden, "confirm");
    let error = refusal(&[], |droid, now| droid.password_expires_at = Some(now)).await;
    assert_says(&error, PersonNeeded, "password has expired");
    let error = refusal(&["enforce_terms=true"], |_, _| ()).await;
    assert_says(&error, PersonNeeded, "terms");
    let error = refusal(&["require_two_factor=true"], |_, _| ()).await;
    assert_says(&error, PersonNeeded, "two-factor");
    let error = refusal(&["password_login_off=true"], |_, _| ()).await;
    assert_says(&error, PersonNeeded, "password authentication");
    let error = refusal(&[], |droid, _| droid.totp_secret = Some(TOTP_SECRET.to_owned())).await;
    assert_says(&error, PersonNeeded, "user.totp_secret");
}

#[tokio::test]
async fn a_wrong_authenticator_is_tried_twice_and_no_more() {
    let bench = Bench::new(&[]).await;
    bench.change(DROID, |droid| droid.totp_secret = Some(TOTP_SECRET.to_owned()));
    let droid = bench.by_password(sandbox::DROID_PASSWORD, Some("MFRGGZDFMZTWQ2LK"));
    let error = bench.authorize(&droid).await.unwrap_err();
    assert_says(&error, ErrorKind::Unauthorized, "totp_secret");
    assert_eq!(bench.count("POST", "/users/sign_in"), 3);
}

#[tokio::test]
async fn a_captcha_is_seen_before_the_password_is_sent() {
    let bench = Bench::new(&["recaptcha=true"]).await;
    bench.look(|world| {
        for number in 0..6 {
            let id = format!("anonymous{number}");
            let session = sandbox::world::WebSession {
                id,
                ..Default::default()
            };
            world.sessions.push(session);
        }
    });
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert_says(&error, ErrorKind::PersonNeeded, "recaptcha");
    assert_eq!(bench.count("POST", "/users/sign_in"), 0);
}

#[tokio::test]
async fn what_gitlab_refused_is_not_sent_again() {
    let bench = Bench::new(&[]).await;
    let droid = bench.by_password("a-wrong-password", None);
    let admin = bench.admin_as("root", "a-wrong-password", None);
    for _ in 0..6 {
        assert_eq!(bench.authorize(&droid).await.unwrap_err().kind, ErrorKind::Unauthorized);
        let error = admin.application(bench.application()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized);
    }
    assert_eq!(bench.count("POST", "/users/sign_in"), 2);
}

/// Whatever GitLab answers a password for Admin Mode with, it gets it once.
#[tokio::test]
async fn admin_mode_gets_the_password_once_whatever_the_page() {
    let html = |status, body: &str| Action::Respond {
        status,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: body.to_owned(),
    };
    let back = Action::Respond {
        status: 302,
        headers: vec![("location".to_owned(), "/admin/session/new".to_owned())],
        body: String::new(),
    };
    let form =
        "<form action='/admin/session' method='post'><div class='flash-alert'>Invalid login or password</div></form>";
    let strange = "<title>GitLab</title><div id='js-something-new'></div>";
    let keys = "<title>GitLab</title><meta name='csrf-token' content='x'>\
                <div id='js-2fa' data-path='/admin/session' data-totp-enabled='false' data-webauthn-enabled='true'></div>";
    for (answer, said) in [
        (back, "more than a password"),
        (html(200, form), "invalid login or password"),
        (html(200, strange), "does not let root stay"),
        (html(200, keys), "a security key, and takes no code"),
        (html(403, strange), "forbids"),
    ] {
        let bench = Bench::with_injector(&["admin_mode=true"], move |request, after| {
            let inject = !after && request.method == "POST" && request.path == "/admin/session";
            if inject { answer.clone() } else { Action::Pass }
        })
        .await;
        let admin = bench.admin();
        for _ in 0..3 {
            let error = admin.application(bench.application()).await.unwrap_err();
            let told = error.message.to_lowercase();
            assert!(told.contains(said), "{said}: {told}");
        }
        assert_eq!(bench.count("POST", "/admin/session"), 1, "{said}");
        assert_eq!(bench.count("POST", "/users/sign_in"), 1, "{said}");
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty(), "{said}");
    }
}

/// An administrator who signs in elsewhere is shown no form for a password.
#[tokio::test]
async fn admin_mode_without_a_form_gets_no_password() {
    let page = "<title>Enter Admin Mode · GitLab</title><meta name='csrf-token' content='x'>\
                <form action='/users/auth/saml' method='post'><input type='submit'></form>";
    let bench = Bench::with_injector(&["admin_mode=true"], move |request, after| {
        if after || request.path != "/admin/session/new" {
            return Action::Pass;
        }
        Action::Respond {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: page.to_owned(),
        }
    })
    .await;
    let admin = bench.admin();
    let error = admin.application(bench.application()).await.unwrap_err();
    assert_says(&error, ErrorKind::Forbidden, "single sign-on");
    assert_eq!(bench.count("POST", "/admin/session"), 0);
    admin.end().await.unwrap();
}

#[tokio::test]
async fn the_limit_of_sign_ins_is_explained() {
    let limited = |request: &Seen, after: bool| {
        let inject = !after && request.method == "POST" && request.path == "/users/sign_in";
        let answer = Action::Respond {
            status: 429,
            headers: Vec::new(),
            body: "Retry later".to_owned(),
        };
        if inject { answer } else { Action::Pass }
    };
    let bench = Bench::with_injector(&[], limited).await;
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert_says(&error, ErrorKind::RateLimited, "ten sign-ins");
}

/// Whatever forbids a password in words of its own, passwords may well be switched on.
#[tokio::test]
async fn a_sign_in_that_is_forbidden_in_words_says_them() {
    let bench = Bench::with_injector(&[], |request, after| {
        if !after && request.method == "POST" && request.path == "/users/sign_in" {
            return json_answer(403, "You cannot perform write operations on a read-only instance");
        }
        Action::Pass
    })
    .await;
    let error = bench.authorize(&bench.droid()).await.unwrap_err();
    assert_says(&error, ErrorKind::Unexpected, "on a read-only instance");
    assert_eq!(error.hint, None);
}

/// Without the button impersonation is switched off, but only on the page that would have it.
#[tokio::test]
async fn a_page_that_is_no_users_says_nothing_of_impersonation() {
    let answer = |status, header: (&str, &str), body: &str| Action::Respond {
        status,
        headers: vec![(header.0.to_owned(), header.1.to_owned())],
        body: body.to_owned(),
    };
    let html = ("content-type", "text/html");
    for answer in [
        answer(
            200,
            html,
            "<form action='/login' method='post'><input name='user'></form>",
        ),
        answer(200, ("content-type", "application/json"), "\"fine\""),
        answer(200, html, ""),
        answer(302, ("location", "/users/sign_in"), ""),
    ] {
        let injected = answer.clone();
        let bench = Bench::with_injector(&[], move |request, after| {
            let inject = !after && request.path == "/admin/users/factory-droid";
            if inject { injected.clone() } else { Action::Pass }
        })
        .await;
        let admin = bench.admin();
        let error = bench.authorize(&bench.impersonated(&admin)).await.unwrap_err();
        assert_says(&error, ErrorKind::Unexpected, "no sign of being that of a user");
        assert!(!error.message.contains("impersonation"), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn impersonation_is_always_stopped() {
    for admin_mode in ["admin_mode=false", "admin_mode=true"] {
        let bench = Bench::new(&[admin_mode]).await;
        let admin = bench.admin();
        let droid = bench.impersonated(&admin);
        assert_callback(&bench.authorize(&droid).await.unwrap());
        assert_eq!(bench.signed_in(), [("root".to_owned(), false)]);
        // After a failure, too.
        bench.change_application(|application| "https://other.example.com/".clone_into(&mut application.redirect_uri));
        assert!(bench.authorize(&droid).await.is_err());
        assert_eq!(bench.signed_in(), [("root".to_owned(), false)]);
        // And the session is the administrator's again.
        admin.application(bench.application()).await.unwrap();
        assert_eq!(bench.count("POST", "/users/sign_in"), 1);
        assert_eq!(bench.count("POST", "/impersonate"), 2);
        assert_eq!(bench.count("POST", "/admin/impersonation"), 2);
        let grants = bench.look(|world| {
            let droid = world.user_named(DROID).unwrap().id;
            world.grants.iter().all(|grant| grant.user_id == droid)
        });
        assert!(grants);
        droid.end().await.unwrap();
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty());
    }
}

#[tokio::test]
async fn a_session_that_was_lost_with_an_answer_is_replaced() {
    for lost in ["/impersonate", "/admin/impersonation"] {
        let dropped = Mutex::new(false);
        let bench = Bench::with_injector(&[], move |request, after| {
            let mut dropped = dropped.lock().unwrap();
            if after && request.method == "POST" && request.path.ends_with(lost) && !*dropped {
                *dropped = true;
                return Action::Drop;
            }
            Action::Pass
        })
        .await;
        let admin = bench.admin();
        let droid = bench.impersonated(&admin);
        let approved = bench.authorize(&droid).await;
        // GitLab renews the cookie in either answer: with it, the session is lost to everybody, and a new one is needed.
        let orphan = bench.signed_in();
        assert_eq!(orphan.len(), 1);
        match lost {
            "/impersonate" => assert!(approved.is_err()),
            _ => assert_callback(&approved.unwrap()),
        }
        bench.look(|world| world.sessions.clear());
        admin.application(bench.application()).await.unwrap();
        assert_callback(&bench.authorize(&droid).await.unwrap());
        assert_eq!(bench.signed_in(), [("root".to_owned(), false)], "{lost}");
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty(), "{lost}");
    }
}

#[tokio::test]
async fn an_impersonation_that_cannot_be_stopped_ends_with_the_session() {
    let html = vec![("content-type".to_owned(), "text/html".to_owned())];
    for (times, left) in [(1, 1), (usize::MAX, 0)] {
        let (refused, headers) = (Mutex::new(0), html.clone());
        let bench = Bench::with_injector(&[], move |request, after| {
            let mut refused = refused.lock().unwrap();
            if after || request.method != "POST" || request.path != "/admin/impersonation" || *refused >= times {
                return Action::Pass;
            }
            *refused += 1;
            let body = "<title>The change you requested was rejected (422)</title>".to_owned();
            Action::Respond {
                status: 422,
                headers: headers.clone(),
                body,
            }
        })
        .await;
        let admin = bench.admin();
        let approved = bench.authorize(&bench.impersonated(&admin)).await;
        assert_callback(&approved.unwrap());
        assert_eq!(bench.signed_in().len(), left);
        assert!(bench.signed_in().iter().all(|(_, impersonated)| !impersonated));
        admin.application(bench.application()).await.unwrap();
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty());
    }
}

/// A GitLab that leads whoever is impersonated to a page that comes first, as it leads the request that would stop it;
/// to its API the session is then nobody's, or may do nothing.
fn led_away(to: &'static str, api: Action, signs_out: bool) -> impl Fn(&Seen, bool) -> Action + Send + Sync {
    let impersonating = Mutex::new(false);
    move |request, after| {
        let mut impersonating = impersonating.lock().unwrap();
        if after {
            *impersonating |= request.path.ends_with("/impersonate");
            *impersonating &= request.path != "/users/sign_out";
            return Action::Pass;
        }
        let has_cookie = request.headers.iter().any(|(name, _)| name == "cookie");
        if !*impersonating || !has_cookie || request.path == to {
            return Action::Pass;
        }
        match request.path.as_str() {
            "/users/sign_out" if signs_out => Action::Pass,
            "/api/v4/user" => api.clone(),
            _ => Action::Respond {
                status: 302,
                headers: vec![("location".to_owned(), to.to_owned())],
                body: String::new(),
            },
        }
    }
}

fn json_answer(status: u16, message: &str) -> Action {
    Action::Respond {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: format!("{{\"message\":\"{message}\"}}"),
    }
}

#[tokio::test]
async fn an_impersonation_that_gitlab_leads_away_is_signed_out_and_says_why() {
    for (to, api, said) in [
        (
            "/-/profile/two_factor_auth",
            json_answer(401, "401 Unauthorized"),
            "set up two-factor authentication first",
        ),
        (
            "/-/users/terms",
            json_answer(
                403,
                "403 Forbidden - You (@factory-droid) must accept the Terms of Service",
            ),
            "has not accepted the terms",
        ),
    ] {
        let bench = Bench::with_injector(&["enforce_terms=true"], led_away(to, api, true)).await;
        for who in ["root", DROID] {
            bench.change(who, |user| user.accepted_terms = Some(1));
        }
        let admin = bench.admin();
        let error = bench.authorize(&bench.impersonated(&admin)).await.unwrap_err();
        assert_says(&error, ErrorKind::PersonNeeded, said);
        assert!(error.message.contains(DROID), "{error}");
        assert!(bench.signed_in().is_empty(), "{to}");
        // The administrator can go on.
        admin.application(bench.application()).await.unwrap();
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty(), "{to}");
    }
}

/// The same by GitLab's own rules: an impersonated session is excepted from none of them.
#[tokio::test]
async fn who_has_to_do_something_first_is_impersonated_in_vain_and_not_for_long() {
    for generation in ["17.11.0", "19.3.0", "19.5.0"] {
        let version = format!("gitlab_version={generation}");
        for (switch, said) in [
            ("require_two_factor=true", "set up two-factor authentication first"),
            ("enforce_terms=true", "has not accepted the terms"),
        ] {
            let bench = Bench::new(&[&version, switch, "admin_mode=true"]).await;
            bench.change("root", |root| {
                root.totp_secret = Some(TOTP_SECRET.to_owned());
                root.accepted_terms = Some(1);
            });
            let admin = bench.admin_as("root", sandbox::ROOT_PASSWORD, Some(TOTP_SECRET));
            let error = bench.authorize(&bench.impersonated(&admin)).await.unwrap_err();
            assert_says(&error, ErrorKind::PersonNeeded, said);
            assert!(
                bench.signed_in().is_empty(),
                "{generation} {switch}: {:?}",
                bench.signed_in()
            );
            admin.application(bench.application()).await.unwrap();
            admin.end().await.unwrap();
            assert!(bench.signed_in().is_empty(), "{generation} {switch}");
        }
    }
}

#[tokio::test]
async fn an_impersonation_that_goes_on_is_told() {
    let api = json_answer(401, "401 Unauthorized");
    let bench = Bench::with_injector(&[], led_away("/-/profile/two_factor_auth", api, false)).await;
    let admin = bench.admin();
    let error = bench.authorize(&bench.impersonated(&admin)).await.unwrap_err();
    assert_says(
        &error,
        ErrorKind::Unexpected,
        "which acts as factory-droid, could not be ended",
    );
    assert_says(&error, ErrorKind::Unexpected, "active sessions");
    assert_says(&error, ErrorKind::Unexpected, "two-factor authentication");
    // It is tried again at the end, and told again.
    let posts = bench.count("POST", "/users/sign_out");
    let error = admin.end().await.unwrap_err();
    assert_says(&error, ErrorKind::Unexpected, "could not be ended");
    assert!(bench.count("POST", "/users/sign_out") > posts);
}

#[tokio::test]
async fn an_impersonation_that_was_cut_off_is_stopped_at_the_end() {
    let seen = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&seen);
    let bench = Bench::with_injector(&[], move |request, after| {
        if after || request.path != "/oauth/authorize" {
            return Action::Pass;
        }
        notify.notify_one();
        Action::Hang
    })
    .await;
    let admin = bench.admin();
    let droid = bench.impersonated(&admin);
    tokio::select! {
        _ = bench.authorize(&droid) => panic!("GitLab does not answer"),
        () = seen.notified() => {}
    }
    assert_eq!(bench.signed_in(), [(DROID.to_owned(), true)]);
    admin.end().await.unwrap();
    assert!(bench.signed_in().is_empty());
    assert_eq!(bench.count("POST", "/admin/impersonation"), 1);
}

#[tokio::test]
async fn each_refusal_of_an_impersonation_is_told_apart() {
    type Change = fn(&mut User, jiff::Timestamp);
    let cases: [(Change, &str); 5] = [
        (|droid, _| droid.state = UserState::Blocked, "blocked user"),
        (|droid, _| droid.state = UserState::Deactivated, "cannot log in"),
        (|droid, now| droid.password_expires_at = Some(now), "expired password"),
        (|droid, _| droid.internal = true, "internal user"),
        (|droid, _| droid.confirmed_at = None, "cannot log in"),
    ];
    for (change, words) in cases {
        let bench = Bench::new(&[]).await;
        let now = bench.look(|world| world.now());
        bench.change(DROID, |droid| change(droid, now));
        let admin = bench.admin();
        let error = bench.authorize(&bench.impersonated(&admin)).await.unwrap_err();
        assert_says(&error, ErrorKind::Forbidden, words);
        assert_eq!(bench.signed_in(), [("root".to_owned(), false)]);
        assert_eq!(bench.count("POST", "/impersonate"), 0);
    }
    let bench = Bench::new(&["impersonation_enabled=false"]).await;
    let error = bench.authorize(&bench.impersonated(&bench.admin())).await.unwrap_err();
    assert_says(&error, ErrorKind::PersonNeeded, "impersonation_enabled");
    let bench = Bench::new(&[]).await;
    let droid = bench.impersonated(&bench.admin());
    let error = approve_as(&droid, &bench.authorize_url(), "nobody").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let error = approve_as(&droid, &bench.authorize_url(), "root").await.unwrap_err();
    assert_says(&error, ErrorKind::Forbidden, "cannot be the droid");
}

#[tokio::test]
async fn the_page_of_authorized_applications_is_evidence() {
    for version in ["16.11.0", "18.5.1-ee"] {
        let bench = Bench::new(&[&format!("gitlab_version={version}")]).await;
        let admin = bench.admin();
        for droid in [bench.droid(), bench.impersonated(&admin)] {
            bench.look(|world| world.oauth_tokens.clear());
            assert!(droid.evidence(DROID).await.unwrap().authorized.is_empty());
            bench.look(|world| {
                let token = OauthToken {
                    id: 1,
                    application_id: world.application_by_uid(UID).unwrap().id,
                    user_id: world.user_named(DROID).unwrap().id,
                    ..OauthToken::default()
                };
                world.oauth_tokens.push(token);
            });
            let evidence = droid.evidence(DROID).await.unwrap();
            assert_eq!(
                evidence.authorized.keys().copied().collect::<Vec<_>>(),
                [bench.application()]
            );
            assert!(evidence.authorized.values().all(Option::is_some));
            droid.end().await.unwrap();
        }
        admin.end().await.unwrap();
        assert!(bench.signed_in().is_empty());
    }
}

/// Keeps an authenticator in memory, and looks whether GitLab has registered it by then.
struct Memory<'a> {
    bench: &'a Bench,
    kept: Mutex<Vec<(Authenticator, bool)>>,
    /// The time at which it refuses.
    refuses: usize,
}

impl<'a> Memory<'a> {
    fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            kept: Mutex::default(),
            refuses: usize::MAX,
        }
    }
}

#[async_trait]
impl Keeper for Memory<'_> {
    async fn keep(&self, authenticator: &Authenticator) -> Result<(), String> {
        let registered = self
            .bench
            .look(|world| world.user_named(DROID).unwrap().totp_secret.is_some());
        let mut kept = self.kept.lock().unwrap();
        if kept.len() == self.refuses {
            return Err("the store is sealed".to_owned());
        }
        kept.push((authenticator.clone(), registered));
        Ok(())
    }
}

fn registered(bench: &Bench) -> Option<String> {
    bench.look(|world| world.user_named(DROID).unwrap().totp_secret.clone())
}

/// Codes that were sent, in order.
fn codes_into(codes: &Arc<Mutex<Vec<String>>>) -> impl Fn(&Seen, bool) -> Action + Send + Sync + 'static {
    let codes = Arc::clone(codes);
    move |request: &Seen, is_after: bool| {
        for (name, value) in url::form_urlencoded::parse(&request.body) {
            if !is_after && ["pin_code", "user[otp_attempt]"].contains(&name.as_ref()) {
                codes.lock().unwrap().push(value.into_owned());
            }
        }
        Action::Pass
    }
}

#[tokio::test]
async fn an_authenticator_is_kept_before_it_is_confirmed_and_then_signed_in_with() {
    for generation in ["16.11.0", "17.11.0", "18.5.0", "19.3.0", "19.5.0"] {
        for enforced in ["require_two_factor=true", "require_two_factor=false"] {
            let what = format!("{generation} {enforced}");
            let codes = Arc::default();
            let bench =
                Bench::with_injector(&[&format!("gitlab_version={generation}"), enforced], codes_into(&codes)).await;
            let (droid, memory) = (bench.droid(), Memory::new(&bench));
            let authenticator = droid.enrol(DROID, &memory).await.unwrap();
            let kept = memory.kept.into_inner().unwrap();
            let [(first, false), (last, true)] = &kept[..] else {
                panic!("{what}: kept {} times", kept.len());
            };
            assert!(
                first.recovery_codes.is_empty() && last.recovery_codes.len() == 10,
                "{what}"
            );
            assert!(
                first.key.is(&authenticator.key) && last.key.is(&authenticator.key),
                "{what}"
            );
            assert_eq!(
                registered(&bench).as_deref(),
                Some(authenticator.key.expose()),
                "{what}"
            );
            // The password at the first sign-in and the second, which takes a code of its own.
            assert_eq!(bench.count("POST", "/users/sign_in"), 3, "{what}");
            assert_callback(&bench.authorize(&droid).await.unwrap());
            assert_eq!(bench.count("POST", "/users/sign_in"), 3, "{what}");
            let codes = codes.lock().unwrap().clone();
            assert_eq!(codes.len(), 2, "{what}");
            assert_ne!(codes[0], codes[1], "{what}");
            droid.end().await.unwrap();
            assert!(bench.signed_in().is_empty(), "{what}");
        }
    }
}

#[tokio::test]
async fn an_authenticator_whose_key_cannot_be_kept_is_not_registered() {
    let bench = Bench::new(&["require_two_factor=true"]).await;
    let droid = bench.droid();
    let memory = Memory {
        refuses: 0,
        ..Memory::new(&bench)
    };
    let NotEnrolled { error, is_certain } = droid.enrol(DROID, &memory).await.unwrap_err();
    assert_says(&error, ErrorKind::Refused, "could not be kept: the store is sealed");
    assert!(is_certain);
    assert_eq!(registered(&bench), None);
    // Nor is anything certain where only its recovery codes could not be.
    let memory = Memory {
        refuses: 1,
        ..Memory::new(&bench)
    };
    let NotEnrolled { error, is_certain } = droid.enrol(DROID, &memory).await.unwrap_err();
    assert_says(&error, ErrorKind::Refused, "recovery codes could not be kept");
    assert!(!is_certain && registered(&bench).is_some());
    droid.end().await.unwrap();
    assert!(bench.signed_in().is_empty());
}

#[tokio::test]
async fn a_key_that_gitlab_shows_no_more_is_refused_and_a_lost_answer_is_not_certain() {
    /// Somebody opens the page in between, more than two minutes later.
    struct Visitor<'a>(&'a Bench);

    #[async_trait]
    impl Keeper for Visitor<'_> {
        async fn keep(&self, _: &Authenticator) -> Result<(), String> {
            self.0.change(DROID, |droid| {
                droid.totp_offer.as_mut().unwrap().secret = TOTP_SECRET.to_owned();
            });
            Ok(())
        }
    }
    let bench = Bench::new(&[]).await;
    let NotEnrolled { error, is_certain } = bench.droid().enrol(DROID, &Visitor(&bench)).await.unwrap_err();
    assert_says(&error, ErrorKind::Unauthorized, "invalid pin code");
    assert!(is_certain && registered(&bench).is_none());

    let bench = Bench::with_injector(&[], |request, is_after| {
        if is_after && request.path.ends_with("/two_factor_auth") && request.method == "POST" {
            Action::Drop
        } else {
            Action::Pass
        }
    })
    .await;
    let NotEnrolled { is_certain, .. } = bench.droid().enrol(DROID, &Memory::new(&bench)).await.unwrap_err();
    assert!(!is_certain && registered(&bench).is_some());

    // What failed on the way answers at the address of that page, too.
    for (status, certain, said) in [(500, false, "answered 500"), (422, true, "does not take")] {
        let bench = Bench::with_injector(&[], move |request, is_after| {
            let inject = !is_after && request.path.ends_with("/two_factor_auth") && request.method == "POST";
            let answer = Action::Respond {
                status,
                headers: vec![("content-type".to_owned(), "text/html".to_owned())],
                body: "<title>Whoops</title>".to_owned(),
            };
            if inject { answer } else { Action::Pass }
        })
        .await;
        let NotEnrolled { error, is_certain } = bench.droid().enrol(DROID, &Memory::new(&bench)).await.unwrap_err();
        assert_eq!(is_certain, certain, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn messages_name_the_place_where_the_key_is_kept() {
    let bench = Bench::new(&[]).await;
    bench.change(DROID, |droid| droid.totp_secret = Some(TOTP_SECRET.to_owned()));
    let droid = |totp: Option<&str>| {
        let options = WebOptions {
            droid_key_place: KeyPlace::Kept,
            ..bench.options.clone()
        };
        let how = DroidSignIn::Password {
            password: Secret::new(sandbox::DROID_PASSWORD),
            totp: totp.map(authenticator),
            provider: None,
        };
        Droid::new(options, how)
    };
    let error = bench.authorize(&droid(None)).await.unwrap_err();
    assert_says(&error, ErrorKind::PersonNeeded, "where user.totp.load reads it");
    let error = bench
        .authorize(&droid(Some("MZXW6YTBOI5DKMRTGQ2TMNZYHEYDCMRT")))
        .await
        .unwrap_err();
    assert_says(&error, ErrorKind::Unauthorized, "check user.totp.load");
}

/// GitLab asks a directory's account for no password there; and where it would, none is sent.
#[tokio::test]
async fn the_password_of_a_directory_is_not_sent_to_the_page_of_an_authenticator() {
    let bench = Bench::new(&["ldap_servers=[\"ldapmain\"]"]).await;
    bench.change(DROID, |droid| {
        droid.identities.push(setpoint::sandbox::world::Identity {
            provider: "ldapmain".to_owned(),
            extern_uid: DROID.to_owned(),
            password_digest: digest("of-the-directory"),
        });
    });
    let how = DroidSignIn::Password {
        password: Secret::new("of-the-directory"),
        totp: None,
        provider: Some("ldapmain".to_owned()),
    };
    let droid = Droid::new(bench.options.clone(), how);
    droid.enrol(DROID, &Memory::new(&bench)).await.unwrap();
    assert!(registered(&bench).is_some());
    let admin = bench.admin();
    let impersonated = bench.impersonated(&admin);
    let NotEnrolled { error, .. } = impersonated.enrol(DROID, &Memory::new(&bench)).await.unwrap_err();
    assert_says(&error, ErrorKind::Refused, "user.password");
}

#[tokio::test]
async fn other_terms_than_those_of_the_plan_are_not_accepted() {
    use setpoint::model::TermsVersion;
    let bench = Bench::new(&["enforce_terms=true"]).await;
    bench.change("root", |root| root.accepted_terms = Some(1));
    let admin = bench.admin();
    for droid in [bench.droid(), bench.impersonated(&admin)] {
        let version = TermsVersion("sha256:0".to_owned());
        let error = droid.accept_terms(DROID, &version).await.unwrap_err();
        assert_says(&error, ErrorKind::Refused, "other terms of service");
        assert_eq!(
            bench.look(|world| world.user_named(DROID).unwrap().accepted_terms),
            None
        );
        droid.end().await.unwrap();
    }
    admin.end().await.unwrap();
    assert!(bench.signed_in().is_empty(), "{:?}", bench.signed_in());
}
