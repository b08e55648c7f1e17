//! Factory's API client against the embedded Factory, which really calls the embedded GitLab.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use setpoint::factory::{BATCH, FactoryApi, FactoryRead as _, FactoryWrite as _};
use setpoint::gitlab::{GitlabApi, GitlabWrite as _};
use setpoint::http::{Client, ClientOptions, Counter, Credential, ErrorKind, Peer, RetryPolicy, Side};
use setpoint::model::{
    ApplicationFields, ApplicationUid, GroupId, IntegrationStatus, Known, ProjectId, Role, SourceKind, UserFields,
    UserId,
};
use setpoint::sandbox::faults::{Action, Intercept, Seen};
use setpoint::sandbox::world::{OauthGrant, Visibility, digest};
use setpoint::sandbox::{self, Options, Sandbox};
use setpoint::secrets::Secret;
use url::Url;

const CALLBACK: &str = "/api/integrations/redirect/gitlab-sh/callback";
const LEGACY: &str = "/api/integrations/redirect/gitlab-sh";

struct Bench {
    sandbox: Sandbox,
    factory: FactoryApi,
    gitlab: GitlabApi,
    counter: Arc<Counter>,
    finishes: Finishes,
}

/// Requests of the redirect URI: path, and whether the key came along.
type Finishes = Arc<Mutex<Vec<(String, bool)>>>;

struct Watch(Finishes);

impl Intercept for Watch {
    fn before(&self, request: &Seen) -> Action {
        if request.path.contains("/redirect/") {
            let key = request.headers.iter().any(|(name, _)| name == "authorization");
            self.0.lock().unwrap().push((request.path.clone(), key));
        }
        Action::Pass
    }
}

fn client(peer: &'static Peer, url: &str, credential: Credential, counter: &Arc<Counter>) -> Client {
    let mut options = ClientOptions::new(peer, url.parse().unwrap());
    options.credential = credential;
    options.counter = Arc::clone(counter);
    options.retry = RetryPolicy {
        sleep: Arc::new(|_| Box::pin(async {})),
        ..RetryPolicy::default()
    };
    Client::new(options).unwrap()
}

impl Bench {
    async fn new(switches: &[&str]) -> Self {
        let finishes = Finishes::default();
        let mut options = Options {
            intercept: Some(Arc::new(Watch(Arc::clone(&finishes)))),
            factory_api_external: Some("https://api.factory.ai".to_owned()),
            factory_app_external: Some("https://app.factory.ai".to_owned()),
            ..Options::default()
        };
        for switch in switches {
            options.switches.set(switch).unwrap();
        }
        let sandbox = sandbox::start(options).await.unwrap();
        let counter = Arc::default();
        let keys = sandbox.credentials();
        let key = Credential::Bearer(Secret::new(keys.factory_key));
        let token = Credential::PrivateToken(Secret::new(keys.gitlab_token));
        let api = client(&setpoint::factory::PEER, &sandbox.factory_api_url(), key, &counter);
        let app = client(
            &setpoint::factory::PEER,
            &sandbox.factory_app_url(),
            Credential::None,
            &counter,
        );
        let gitlab = client(&setpoint::gitlab::PEER, &sandbox.gitlab_url(), token, &counter);
        Self {
            factory: FactoryApi::new(api, app),
            gitlab: GitlabApi::new(gitlab),
            sandbox,
            counter,
            finishes,
        }
    }

    /// Factory's reads and writes since the last call.
    fn spent(&self, since: &mut (u64, u64)) -> (u64, u64) {
        let counts = self.counter.of(Side::Factory);
        let now = (counts.reads, counts.writes);
        let spent = (now.0 - since.0, now.1 - since.1);
        *since = now;
        spent
    }

    /// Application and connection; gives the application's public id.
    async fn connect(&self) -> ApplicationUid {
        let desired = ApplicationFields {
            name: "Factory Integration".to_owned(),
            redirect_uris: BTreeSet::from([
                format!("https://api.factory.ai{CALLBACK}"),
                format!("https://app.factory.ai{LEGACY}"),
            ]),
            trusted: Known::Known(true),
            confidential: true,
            scopes: Known::Known(BTreeSet::from(["api".to_owned()])),
        };
        let (application, secret) = self.gitlab.create_application(&desired).await.unwrap();
        let domain = self.sandbox.gitlab_url();
        self.factory
            .save_connection(&domain, &application.uid, &secret)
            .await
            .unwrap();
        application.uid
    }

    /// The droid, a developer in `platform`.
    async fn droid(&self) -> UserId {
        let user = UserFields {
            username: "factory-droid".into(),
            name: "Factory Droid".to_owned(),
            email: "factory-droid@example.com".into(),
        };
        let id = self.gitlab.create_user(&user, None).await.unwrap().id;
        let group = self.sandbox.with_world(|world| world.group_at("platform").unwrap().id);
        let source = SourceKind::Group(GroupId(group));
        self.gitlab
            .add_member(source, id, Role::Developer.into())
            .await
            .unwrap();
        id
    }

    /// What GitLab's authorize page would end with: the redirect URI with a code of this user.
    async fn redirect(&self, user: UserId, code: &str) -> Url {
        let authorize: Url = self.factory.start_authorization().await.unwrap().url.parse().unwrap();
        let query = |name: &str| {
            let found = authorize.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap()
        };
        self.sandbox.with_world(|world| {
            let application = world.application_by_uid(&query("client_id")).unwrap();
            let grant = OauthGrant {
                code_digest: digest(code),
                application_id: application.id,
                user_id: user.0,
                redirect_uri: query("redirect_uri"),
                scopes: application.scopes.clone(),
                created_at: world.now(),
                ..OauthGrant::default()
            };
            world.grants.push(grant);
        });
        let mut redirect: Url = query("redirect_uri").parse().unwrap();
        redirect
            .query_pairs_mut()
            .append_pair("code", code)
            .append_pair("state", &query("state"));
        redirect
    }

    async fn authorized(&self) -> UserId {
        self.connect().await;
        let user = self.droid().await;
        let redirect = self.redirect(user, "code-1").await;
        self.factory.finish_authorization(&redirect).await.unwrap();
        user
    }

    fn id(&self, path: &str) -> ProjectId {
        ProjectId(self.sandbox.with_world(|world| world.project_at(path).unwrap().id))
    }
}

#[tokio::test]
async fn nothing_is_configured_and_then_something_is() {
    let bench = Bench::new(&[]).await;
    assert_eq!(bench.factory.integration().await.unwrap(), None);
    assert_eq!(bench.factory.repositories().await.unwrap(), Known::Unknown);
    bench.factory.delete_connection().await.unwrap();
    let uid = bench.connect().await;
    let integration = bench.factory.integration().await.unwrap().unwrap();
    assert_eq!(integration.application, uid);
    assert_eq!(integration.status, IntegrationStatus::Configured);
    assert_eq!(integration.domain.as_str(), bench.sandbox.gitlab_url());
    bench.factory.delete_connection().await.unwrap();
    assert_eq!(bench.factory.integration().await.unwrap(), None);
}

#[tokio::test]
async fn the_redirect_is_requested_at_the_configured_host_without_the_key() {
    for (generation, path) in [("legacy", LEGACY), ("current", CALLBACK)] {
        let bench = Bench::new(&[&format!("factory_redirect={generation}")]).await;
        let user = bench.authorized().await;
        let integration = bench.factory.integration().await.unwrap().unwrap();
        assert_eq!(integration.status, IntegrationStatus::Connected);
        assert_eq!(integration.user.map(|user| user.id), Some(user));
        let finishes = bench.finishes.lock().unwrap().clone();
        assert_eq!(finishes, [(path.to_owned(), false)]);
    }
}

#[tokio::test]
async fn the_pages_reason_becomes_the_error_without_the_code() {
    let bench = Bench::new(&[]).await;
    bench.authorized().await;
    let mut redirect: Url = format!("https://app.factory.ai{CALLBACK}").parse().unwrap();
    redirect
        .query_pairs_mut()
        .append_pair("code", "secret-code")
        .append_pair("state", "made-up");
    let error = bench.factory.finish_authorization(&redirect).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid), "{error:?}");
    assert!(error.message.contains("unknown state"), "{error}");
    assert!(!error.message.contains('<') && !format!("{error:?}").contains("secret-code"));
}

#[tokio::test]
async fn no_other_host_gets_the_code() {
    let bench = Bench::new(&[]).await;
    for host in [
        "https://factory.example.com",
        "https://api.factory.ai.example.com",
        "http://api.factory.ai",
    ] {
        let redirect = format!("{host}{CALLBACK}?code=c&state=s").parse().unwrap();
        let error = bench.factory.finish_authorization(&redirect).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.hint.unwrap().contains("redirect_uri"));
    }
    assert!(bench.sandbox.requests().is_empty());
}

#[tokio::test]
async fn the_other_regions_host_is_no_stand_in() {
    let counter = Arc::default();
    let eu = |url| client(&setpoint::factory::PEER, url, Credential::None, &counter);
    let factory = FactoryApi::new(eu("https://api.eu.factory.ai"), eu("https://app.eu.factory.ai"));
    let redirect = format!("https://api.factory.ai{CALLBACK}?code=c&state=s")
        .parse()
        .unwrap();
    let error = factory.finish_authorization(&redirect).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(counter.total(), 0);
}

#[tokio::test]
async fn repositories_are_listed_by_hundreds_and_set_by_hundreds() {
    let bench = Bench::new(&[]).await;
    bench.sandbox.with_world(|world| {
        for number in 0..230 {
            world.add_project(&format!("platform/s{number}"), "S", Visibility::Private);
        }
    });
    bench.authorized().await;
    let mut spent = (0, 0);
    bench.spent(&mut spent);
    let Known::Known(listed) = bench.factory.repositories().await.unwrap() else {
        panic!("connected, so the repositories are known")
    };
    let (reads, _) = bench.spent(&mut spent);
    assert_eq!(reads, listed.len().div_ceil(100) as u64);
    assert!(listed.len() > 230 && listed.values().all(|repository| !repository.enabled));
    assert!(listed[&bench.id("platform/archive/monolith")].archived);
    assert!(!listed.contains_key(&bench.id("finance/ledger")));

    let enable: BTreeSet<ProjectId> = listed.into_keys().collect();
    let hidden = bench.id("finance/ledger");
    let wanted: Vec<ProjectId> = enable.iter().copied().chain([hidden]).collect();
    let mut results = BTreeMap::new();
    for batch in wanted.chunks(BATCH) {
        let batch = batch.iter().copied().collect();
        results.extend(bench.factory.set_repositories(&batch, &BTreeSet::new()).await.unwrap());
        assert_eq!(bench.spent(&mut spent), (0, 1));
    }
    assert!(results[&hidden].is_err(), "{:?}", results[&hidden]);
    assert!(enable.iter().all(|id| results[id] == Ok(true)));

    let one = BTreeSet::from([bench.id("platform/handbook")]);
    let results = bench.factory.set_repositories(&BTreeSet::new(), &one).await.unwrap();
    assert_eq!(results.into_values().collect::<Vec<_>>(), [Ok(false)]);
    let Known::Known(listed) = bench.factory.repositories().await.unwrap() else {
        panic!("still connected")
    };
    assert_eq!(
        listed.values().filter(|repository| repository.enabled).count(),
        enable.len() - 1
    );
}

#[tokio::test]
async fn each_refusal_has_its_own_advice() {
    for (switch, kind, advice) in [
        ("factory_key_unknown=true", ErrorKind::Unauthorized, "factory.token"),
        ("factory_plan_too_small=true", ErrorKind::PaymentRequired, "Enterprise"),
        ("factory_role_too_low=true", ErrorKind::Forbidden, "Owner"),
    ] {
        let bench = Bench::new(&[switch]).await;
        let error = bench.factory.integration().await.unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.hint.unwrap().contains(advice), "{switch}");
    }
}

#[tokio::test]
async fn a_server_without_the_endpoints_is_told_from_one_without_an_integration() {
    let bench = Bench::new(&[]).await;
    // GitLab's server has no such endpoints, as Factory's own has none.
    let counter = Arc::default();
    let elsewhere = client(
        &setpoint::factory::PEER,
        &bench.sandbox.gitlab_url(),
        Credential::None,
        &counter,
    );
    let factory = FactoryApi::new(elsewhere.clone(), elsewhere);
    let error = factory.integration().await.unwrap_err();
    assert!(
        error.hint.as_deref().unwrap_or_default().contains("assisted"),
        "{error:?}"
    );
}
