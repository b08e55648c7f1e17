//! Every way in which Setpoint gets into GitLab and to Factory, on every page generation, with Admin Mode and without, at
//! each kind of address, and killed at each request. What is to hold is the same for all: the job is done once and whole,
//! the next plan finds nothing, nobody is left signed in, no door is used that the way has no need of, and no secret is
//! anywhere but in its store.
//!
//! Everyday one cell of each way is tried. The ignored test tries enough that each two values of different axes meet, and
//! kills each way here and there; with `SETPOINT_WAYS=all` it tries the whole product and kills at each request.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::SignedDuration;
use setpoint::sandbox::world::{Identity, User, WebSession, World, digest};
use setpoint::sandbox::{Action, Generation, Options, Seen, Side};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::assisted::hands::Hands;
use super::common::plans::{DROID, add_droid, unwrapped};
use super::common::proxy::Phase;
use super::common::tls::{self, Authority};
use super::common::{Fixture, Ran};
use super::matrix::check::{left_behind, second_factor, undeclared};
use super::sealed::canary::{
    ADMIN_PASSWORD, ADMIN_TOTP, AUTHENTICATOR, COOKIE, DROID_PASSWORD, DROID_TOTP, GATEWAY_TOKEN, SealedFixture,
};

/// A way, by how it differs from a configuration with passwords of the administrator and of the droid.
struct Way {
    name: &'static str,
    /// What is declared, as the page has it.
    declared: &'static str,
    /// What is so by design, as the page has it.
    design: &'static str,
    /// What GitLab and its accounts are like before.
    world: &'static [fn(&mut World)],
    /// What of the configuration is replaced by what.
    config: &'static [(&'static str, &'static str)],
    /// The pages that are written to until all is done.
    doors: &'static [&'static str],
    /// The same for a plan that finds nothing.
    idle: &'static [&'static str],
    /// Whether a person approves.
    person: bool,
    between: Between,
    /// The codes of second factors that a run gives, of which each waits for the one before.
    codes: fn(&Axes) -> bool,
}

/// What is between here and both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    ClientCertificate,
    Headers,
    Proxies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    BelowRoot,
    OtherUrl,
}

#[derive(Debug, Clone, Copy)]
struct Axes {
    generation: Generation,
    admin_mode: bool,
    place: Place,
}

/// One trial; cut off at that request, before or after it is processed.
#[derive(Clone, Copy)]
struct Cell {
    way: &'static Way,
    axes: Axes,
    cut: Option<(usize, Phase)>,
}

const EXTERNAL: &str = "https://gitlab.example.com";
const ADMIN: &str = "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n";
const ADMIN_USER: &str = "username = \"root\"\n";
const OWN: &str = "password = { env = \"FACTORY_DROID_PASSWORD\" }\n";

/// Without an administrator's session nothing is made trusted.
const NO_ADMIN: [(&str, &str); 2] = [(ADMIN, ""), ("\nredirect_uri", "\ntrusted = false\nredirect_uri")];
const ADMIN_CODE: (&str, &str) = (
    ADMIN_USER,
    "username = \"root\"\ntotp_secret = { env = \"GITLAB_ADMIN_TOTP\" }\n",
);
const ADMIN_COOKIE: (&str, &str) = (ADMIN, "[gitlab.admin_session]\ncookie = { env = \"GITLAB_SESSION\" }\n");
const TERMS: (&str, &str) = ("\n[user.memberships]", "accept_terms = true\n\n[user.memberships]");
const TOTP: (&str, &str) = (
    "\n[user.memberships]",
    "totp = { save = { file = \"store/authenticator\" }, load = { file = \"store/authenticator\" } }\n\n[user.memberships]",
);
const BY_PERSON: (&str, &str) = (OWN, "sign_in = \"person\"\n");
const BY_LDAP: (&str, &str) = (
    OWN,
    "password = { env = \"FACTORY_DROID_PASSWORD\" }\nprovider = \"ldapmain\"\n",
);

const SIGN_IN: &str = "POST /users/sign_in";
const LDAP: &str = "POST /users/auth/ldapmain/callback";
const SIGN_OUT: &str = "POST /users/sign_out";
const ENTER_ADMIN: &str = "POST /admin/session";
const TICK: &str = "POST /admin/applications/*";
const AUTHORIZE: &str = "GET /oauth/authorize";
const CONSENT: &str = "POST /oauth/authorize";
const IMPERSONATE: &str = "POST /admin/users/factory-droid/impersonate";
const GIVE_BACK: &str = "POST /admin/impersonation";
const ACCEPT: &str = "POST /-/users/terms/*/accept";
const REGISTER: &str = "POST /-/profile/two_factor_auth";

/// What cannot be, by design: what is declared, and the words with which that is refused before anything is asked.
struct Impossible {
    /// As the page has it.
    what: &'static str,
    config: &'static [(&'static str, &'static str)],
    said: &'static str,
}

const IMPOSSIBLE: &[Impossible] = &[
    Impossible {
        what: "an authenticator of a droid that is impersonated",
        config: &[(OWN, ""), TOTP],
        said: "`user.totp` takes a droid that signs in by its password",
    },
    Impossible {
        what: "an authenticator of a droid for which a person approves",
        config: &[BY_PERSON, TOTP],
        said: "`user.totp` takes a droid that signs in by its password",
    },
    Impossible {
        what: "an authenticator whose key is given, and registered",
        config: &[
            (OWN, "password = { env = \"A\" }\ntotp_secret = { env = \"B\" }\n"),
            TOTP,
        ],
        said: "`user.totp_secret` is of no use beside `user.totp`",
    },
    Impossible {
        what: "impersonation in a person's session",
        config: &[ADMIN_COOKIE, (OWN, "sign_in = \"impersonate\"\n")],
        said: "would end the session that `gitlab.admin_session.cookie` is of",
    },
    Impossible {
        what: "impersonation without an administrator's session",
        config: &[(ADMIN, ""), (OWN, "sign_in = \"impersonate\"\n")],
        said: "there is no `[gitlab.admin_session]`",
    },
    Impossible {
        what: "terms, where nobody but a person gets in as the droid",
        config: &[ADMIN_COOKIE, (OWN, ""), TERMS],
        said: "`user.accept_terms` takes a way to sign in as the droid",
    },
    Impossible {
        what: "a person's session, and a directory",
        config: &[(
            ADMIN,
            "[gitlab.admin_session]\ncookie = { env = \"GITLAB_SESSION\" }\nprovider = \"ldapmain\"\n",
        )],
        said: "`gitlab.admin_session.provider` is of no use beside `cookie`",
    },
];

/// What is looked for in vain, by design.
const MISSING: &[(u16, &str)] = &[
    (404, "/api/v4/namespaces/factory-droid"),
    (404, "/api/v4/groups/*/members/*"),
    (404, "/api/v4/projects/*/members/*"),
    (404, "/api/v0/integrations/gitlab-sh"),
    (409, "/api/v0/integrations/gitlab-sh/repositories"),
    // Whether GitLab takes Factory's secret is asked with a code that nobody has.
    (401, "/oauth/token"),
    // GitLab holds a code that comes late for one of the step in which it came, so that the code of that step is used up.
    (401, "/admin/session"),
    // Whoever has not accepted the terms.
    (403, "/api/v4/user"),
];

const BY_PASSWORDS: Way = Way {
    name: "administrator by password",
    declared: "`gitlab.admin_session` with `password`; `user.password`",
    design: "Admin Mode takes the password again",
    world: &[],
    config: &[],
    doors: &[AUTHORIZE, ENTER_ADMIN, SIGN_IN, SIGN_OUT, TICK],
    idle: &[ENTER_ADMIN, SIGN_IN, SIGN_OUT],
    person: false,
    between: Between::Nothing,
    codes: |_| false,
};

/// Nobody but the droid, who consents.
const ALONE: Way = Way {
    name: "droid by password",
    declared: "`user.password` alone",
    design: "nobody signs in for a plan; the application is not trusted, so the droid consents",
    config: &NO_ADMIN,
    doors: &[AUTHORIZE, CONSENT, SIGN_IN, SIGN_OUT],
    idle: &[],
    ..BY_PASSWORDS
};

const WAYS: &[Way] = &[
    BY_PASSWORDS,
    Way {
        name: "administrator by password and code",
        declared: "the same, with `totp_secret`",
        design: "with Admin Mode a run waits for a second code",
        world: &[root_has_code],
        config: &[ADMIN_CODE],
        codes: |axes| axes.admin_mode,
        ..BY_PASSWORDS
    },
    Way {
        name: "administrator by LDAP",
        declared: "the same, with `provider`",
        design: "the directory's form also before Admin Mode",
        world: &[directory, root_of_directory],
        config: &[(ADMIN_USER, "username = \"root\"\nprovider = \"ldapmain\"\n")],
        doors: &[AUTHORIZE, LDAP, SIGN_IN, SIGN_OUT, TICK],
        idle: &[LDAP, SIGN_OUT],
        ..BY_PASSWORDS
    },
    Way {
        name: "administrator by a person's session",
        declared: "`gitlab.admin_session` with `cookie`",
        design: "neither signed in nor out; Admin Mode is entered in the browser",
        world: &[open_session],
        config: &[ADMIN_COOKIE],
        doors: &[AUTHORIZE, SIGN_IN, SIGN_OUT, TICK],
        idle: &[],
        ..BY_PASSWORDS
    },
    Way {
        name: "administrator for apply only",
        declared: "`use = \"apply\"`",
        design: "a plan signs nobody in",
        config: &[(ADMIN_USER, "username = \"root\"\nuse = \"apply\"\n")],
        idle: &[],
        ..BY_PASSWORDS
    },
    ALONE,
    Way {
        name: "droid by password and code",
        declared: "`user.totp_secret`",
        design: "the same",
        world: &[droid_with_code],
        config: &[
            NO_ADMIN[0],
            NO_ADMIN[1],
            (
                OWN,
                "password = { env = \"FACTORY_DROID_PASSWORD\" }\ntotp_secret = { env = \"FACTORY_DROID_TOTP\" }\n",
            ),
        ],
        ..ALONE
    },
    Way {
        name: "droid by LDAP",
        declared: "`user.provider`",
        design: "the password goes to the directory's form alone",
        world: &[directory, droid_of_directory],
        config: &[NO_ADMIN[0], NO_ADMIN[1], BY_LDAP],
        doors: &[AUTHORIZE, CONSENT, LDAP, SIGN_OUT],
        ..ALONE
    },
    Way {
        name: "droid by impersonation",
        declared: "`gitlab.admin_session` alone",
        design: "the session is given back in the same run",
        config: &[(OWN, "")],
        doors: &[AUTHORIZE, ENTER_ADMIN, GIVE_BACK, IMPERSONATE, SIGN_IN, SIGN_OUT, TICK],
        ..BY_PASSWORDS
    },
    Way {
        name: "droid by a person",
        declared: "`user.sign_in = \"person\"`",
        design: "`apply` ends with 3 and the address; the next one goes on",
        config: &[BY_PERSON],
        doors: &[ENTER_ADMIN, SIGN_IN, SIGN_OUT, TICK],
        person: true,
        ..BY_PASSWORDS
    },
    Way {
        name: "a person where nobody can be impersonated",
        declared: "`cookie`, and nothing for the droid",
        design: "the same; nobody signs in",
        world: &[open_session],
        config: &[ADMIN_COOKIE, (OWN, "")],
        doors: &[TICK],
        idle: &[],
        person: true,
        ..BY_PASSWORDS
    },
    Way {
        name: "a person where a captcha is asked for",
        declared: "`user.password`",
        design: "the same; no password is sent",
        world: &[captcha],
        doors: &[],
        person: true,
        ..ALONE
    },
    Way {
        name: "authenticator",
        declared: "`user.totp`",
        design: "signed out, and in again with the next code",
        config: &[NO_ADMIN[0], NO_ADMIN[1], TOTP],
        doors: &[AUTHORIZE, CONSENT, REGISTER, SIGN_IN, SIGN_OUT],
        codes: |_| true,
        ..ALONE
    },
    Way {
        name: "authenticator that the instance enforces",
        declared: "`user.totp`, `gitlab.admin_session` with `totp_secret`",
        design: "the same",
        world: &[root_has_code, |world| world.switches.require_two_factor = true],
        config: &[ADMIN_CODE, TOTP],
        doors: &[AUTHORIZE, ENTER_ADMIN, REGISTER, SIGN_IN, SIGN_OUT, TICK],
        codes: |_| true,
        ..BY_PASSWORDS
    },
    Way {
        name: "authenticator that a group enforces",
        declared: "`user.totp`, `gitlab.admin_session` with `totp_secret`",
        design: "the same",
        world: &[root_has_code, |world| {
            for group in &mut world.groups {
                group.require_two_factor = group.full_path == "platform";
            }
        }],
        config: &[ADMIN_CODE, TOTP],
        doors: &[AUTHORIZE, ENTER_ADMIN, REGISTER, SIGN_IN, SIGN_OUT, TICK],
        codes: |_| true,
        ..BY_PASSWORDS
    },
    Way {
        name: "authenticator with LDAP",
        declared: "`user.totp`, `user.provider`",
        design: "the page asks for no password",
        world: &[directory, droid_of_directory],
        config: &[NO_ADMIN[0], NO_ADMIN[1], BY_LDAP, TOTP],
        doors: &[AUTHORIZE, CONSENT, REGISTER, LDAP, SIGN_IN, SIGN_OUT],
        codes: |_| true,
        ..ALONE
    },
    Way {
        name: "terms by password",
        declared: "`user.accept_terms`, `user.password`",
        design: "the droid accepts, then consents",
        world: &[terms],
        config: &[NO_ADMIN[0], NO_ADMIN[1], TERMS],
        doors: &[ACCEPT, AUTHORIZE, CONSENT, SIGN_IN, SIGN_OUT],
        ..ALONE
    },
    Way {
        name: "terms by impersonation",
        declared: "`user.accept_terms`, `gitlab.admin_session`",
        design: "in the impersonated session",
        world: &[terms],
        config: &[TERMS, (OWN, "")],
        doors: &[
            ACCEPT,
            AUTHORIZE,
            ENTER_ADMIN,
            GIVE_BACK,
            IMPERSONATE,
            SIGN_IN,
            SIGN_OUT,
            TICK,
        ],
        ..BY_PASSWORDS
    },
    Way {
        name: "client certificate",
        declared: "`gitlab.client_cert_file`, `client_key_file`",
        design: "a connection without it does not come about",
        between: Between::ClientCertificate,
        ..BY_PASSWORDS
    },
    Way {
        name: "headers",
        declared: "`gitlab.headers`, `factory.headers`",
        design: "a request without them is refused",
        between: Between::Headers,
        ..BY_PASSWORDS
    },
    Way {
        name: "a proxy for each side",
        declared: "`gitlab.proxy`, `factory.proxy` with a password",
        design: "each side behind a certificate of its own authority",
        between: Between::Proxies,
        ..BY_PASSWORDS
    },
];

fn account<'a>(world: &'a mut World, name: &str) -> &'a mut User {
    let id = world.user_named(name).expect("the account is there").id;
    world.user_mut(id).expect("the account is there")
}

fn root_has_code(world: &mut World) {
    account(world, "root").totp_secret = Some(ADMIN_TOTP.to_owned());
}

fn directory(world: &mut World) {
    world.switches.ldap_servers.insert("ldapmain".to_owned());
}

fn of_directory(name: &str, password: &str) -> Identity {
    Identity {
        provider: "ldapmain".to_owned(),
        extern_uid: name.to_owned(),
        password_digest: digest(password),
    }
}

fn root_of_directory(world: &mut World) {
    let root = account(world, "root");
    root.identities.push(of_directory("root", ADMIN_PASSWORD));
}

fn droid_with_code(world: &mut World) {
    add_droid(world, DROID_PASSWORD).totp_secret = Some(DROID_TOTP.to_owned());
}

fn droid_of_directory(world: &mut World) {
    let droid = add_droid(world, DROID_PASSWORD);
    droid.password_digest = digest("nobody knows it");
    droid.identities.push(of_directory(DROID, DROID_PASSWORD));
}

/// A browser's session of the administrator.
fn open_session(world: &mut World) {
    let now = world.now();
    let admin_mode = world.switches.admin_mode;
    world.sessions.push(WebSession {
        id: COOKIE.to_owned(),
        user_id: Some(1),
        created_at: now,
        admin_mode_until: admin_mode.then(|| now + SignedDuration::from_hours(6)),
        ..WebSession::default()
    });
}

/// GitLab asks for one where many visitors have been.
fn captcha(world: &mut World) {
    world.switches.recaptcha = true;
    let visitor = |number| WebSession {
        id: format!("visitor{number}"),
        ..WebSession::default()
    };
    world.sessions.extend((0..6).map(visitor));
}

fn terms(world: &mut World) {
    world.switches.enforce_terms = true;
}

/// A front with TLS for a side, and the name of the side behind it.
async fn listen() -> (TcpListener, String) {
    let (listener, port) = tls::listener().await;
    (listener, format!("https://localhost:{port}"))
}

impl Axes {
    /// All of them.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        let real = Generation::ALL.into_iter().filter(|one| *one != Generation::Unknown);
        for generation in real {
            for admin_mode in [true, false] {
                for place in [Place::Plain, Place::BelowRoot, Place::OtherUrl] {
                    all.push(Self {
                        generation,
                        admin_mode,
                        place,
                    });
                }
            }
        }
        all
    }

    /// Those of a way, of which there is one for each generation: over all ways each two values meet.
    fn few(way: usize) -> Vec<Self> {
        let real = Generation::ALL.into_iter().filter(|one| *one != Generation::Unknown);
        real.enumerate()
            .map(|(at, generation)| Self {
                generation,
                admin_mode: (way + at).is_multiple_of(2),
                place: [Place::Plain, Place::BelowRoot, Place::OtherUrl][(way + 2 * at) % 3],
            })
            .collect()
    }

    /// Where every request is one to be killed at.
    const KILLED: Self = Self {
        generation: Generation::V18_5,
        admin_mode: true,
        place: Place::Plain,
    };

    fn root(self) -> &'static str {
        match self.place {
            Place::BelowRoot => "/gitlab",
            Place::Plain | Place::OtherUrl => "",
        }
    }
}

/// A cell that is set up.
struct Trial {
    cell: Cell,
    sealed: SealedFixture,
    before: World,
    /// How many requests there were, of the program's.
    requests: Arc<AtomicUsize>,
    was_cut: Arc<AtomicBool>,
    /// Whether it is done, so that there is nothing to cut off any more.
    is_done: Arc<AtomicBool>,
    /// What a killed program has left behind: who was signed in.
    orphans: Mutex<BTreeSet<String>>,
}

impl Trial {
    async fn new(cell: Cell) -> Self {
        let Cell { way, axes, .. } = cell;
        let mut options = Options::default();
        for switch in [
            "protected_paths_limit=0".to_owned(),
            format!("gitlab={}", axes.generation.name()),
            format!("admin_mode={}", axes.admin_mode),
            format!("relative_url_root={}", axes.root()),
        ] {
            options.switches.set(&switch).expect("a switch");
        }
        let is_tunnelled = matches!(way.between, Between::ClientCertificate | Between::Proxies);
        let (gitlab, factory) = (listen().await, listen().await);
        let front = format!("{}{}", gitlab.1, axes.root());
        options.gitlab_external_url = match axes.place {
            Place::OtherUrl => Some(EXTERNAL.to_owned()),
            _ => is_tunnelled.then(|| front.clone()),
        };
        if way.between == Between::Proxies {
            options.factory_api_external = Some(factory.1.clone());
            options.factory_app_external = Some(factory.1.clone());
        }
        let sealed = SealedFixture::on(options).await;
        sealed
            .fixture
            .world(|world| way.world.iter().for_each(|change| change(world)));
        for (from, to) in way.config {
            sealed.fixture.edit_config(from, to);
        }
        let trial = Self {
            cell,
            before: sealed.fixture.world(|world| world.clone()),
            sealed,
            requests: Arc::default(),
            was_cut: Arc::default(),
            is_done: Arc::default(),
            orphans: Mutex::default(),
        };
        trial.configure_gitlab(gitlab.0, &front).await;
        trial.configure_factory(factory.0, &factory.1).await;
        trial.watch();
        trial
    }

    async fn configure_gitlab(&self, listener: TcpListener, front: &str) {
        let fixture = &self.sealed.fixture;
        let url = fixture.sandbox.gitlab_url();
        let mut keys = String::new();
        let way = self.cell.way;
        if self.cell.axes.place == Place::OtherUrl {
            let _ = writeln!(keys, "external_url = \"{EXTERNAL}\"");
        }
        let line = format!("url = \"{url}\"\n");
        let inner = url.trim_end_matches(self.cell.axes.root());
        match way.between {
            Between::Nothing => fixture.edit_config(&line, &format!("{line}{keys}")),
            Between::Headers => fixture.edit_config(
                &line,
                &format!("{line}{keys}headers = {{ \"X-Gateway-Token\" = {{ env = \"GATEWAY_TOKEN\" }} }}\n"),
            ),
            Between::ClientCertificate => {
                let (servers, clients) = (Authority::named("Servers"), Authority::named("Clients"));
                tls::front(listener, inner, &servers, Some(&clients));
                std::fs::write(fixture.path("ca.pem"), servers.pem()).expect("a file");
                clients.write_client(fixture.folder());
                let read = |name: &str| std::fs::read_to_string(fixture.path(name)).expect("a file");
                let (key, certificate) = (read("client.key"), read("client.pem"));
                // The key's file ends with the public key, which may stand in the certificate in the same lines.
                let lines = key
                    .lines()
                    .filter(|line| !line.starts_with('-') && !certificate.contains(line));
                lines.for_each(|line| self.sealed.canaries.add(line, "the key of the client certificate"));
                fixture.edit_config(
                    &line,
                    &format!(
                        "url = \"{front}\"\n{keys}ca_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\n\
                         client_key_file = \"client.key\"\n"
                    ),
                );
            }
            Between::Proxies => {
                let servers = Authority::named("Servers");
                tls::front(listener, inner, &servers, None);
                std::fs::write(fixture.path("ca.pem"), servers.pem()).expect("a file");
                let (proxy, _) = tls::tunnel().await;
                fixture.edit_config(
                    &line,
                    &format!("url = \"{front}\"\n{keys}ca_file = \"ca.pem\"\nproxy = \"{proxy}\"\n"),
                );
            }
        }
    }

    async fn configure_factory(&self, listener: TcpListener, front: &str) {
        let fixture = &self.sealed.fixture;
        let url = fixture.sandbox.factory_api_url();
        let line = format!("api_url = \"{url}\"\n");
        match self.cell.way.between {
            Between::Headers => fixture.edit_config(
                &line,
                &format!("{line}headers = {{ \"X-Gateway-Token\" = {{ env = \"GATEWAY_TOKEN\" }} }}\n"),
            ),
            Between::Proxies => {
                let servers = Authority::named("Servers of Factory");
                tls::front(listener, &url, &servers, None);
                std::fs::write(fixture.path("factory.pem"), servers.pem()).expect("a file");
                let (proxy, _) = tls::tunnel().await;
                let password = "canary-of-the-egress-PROXY";
                self.sealed.canaries.add(password, "the proxy's password");
                let proxy = proxy.replace("http://", &format!("http://me:{password}@"));
                tls::write_private(&fixture.path("proxy.url"), &proxy);
                // Everything of Factory's is there, the page that a browser is sent back to as well.
                fixture.edit_config(&url, front);
                let line = format!("api_url = \"{front}\"\n");
                fixture.edit_config(
                    &line,
                    &format!("{line}ca_file = \"factory.pem\"\nproxy = {{ file = \"proxy.url\" }}\n"),
                );
            }
            Between::Nothing | Between::ClientCertificate => {}
        }
    }

    /// Counts the program's requests, refuses those that lack their header, and kills the program where it is to be killed.
    fn watch(&self) {
        let (requests, was_cut) = (Arc::clone(&self.requests), Arc::clone(&self.was_cut));
        let is_done = Arc::clone(&self.is_done);
        let (cut, client) = (self.cell.cut, self.sealed.proxy.client());
        let is_gated = self.cell.way.between == Between::Headers;
        let is_of_directory = self.cell.way.config.contains(&BY_LDAP);
        let mut meant = None;
        self.sealed.watch(move |request: &Seen, phase| {
            let has = |wanted: &str| request.headers.iter().any(|(_, value)| value.starts_with(wanted));
            if !has("setpoint/") || (cut.is_some() && is_done.load(Ordering::SeqCst)) {
                return Action::Pass;
            }
            if phase == Phase::Before {
                let mut fields = url::form_urlencoded::parse(&request.body);
                let is_given_away = is_of_directory
                    && !request.path.ends_with("/ldapmain/callback")
                    && fields.any(|(_, value)| value == DROID_PASSWORD);
                if is_given_away || (is_gated && !has(GATEWAY_TOKEN)) {
                    return Action::Drop;
                }
                let number = requests.fetch_add(1, Ordering::SeqCst) + 1;
                if cut.is_some_and(|(at, _)| at == number) {
                    meant = Some(request.number);
                }
            }
            if meant == Some(request.number) && cut.is_some_and(|(_, side)| side == phase) {
                was_cut.store(true, Ordering::SeqCst);
                return client.kill();
            }
            Action::Pass
        });
    }

    fn who_is_signed_in(&self) -> BTreeSet<String> {
        self.sealed.fixture.world(|world| {
            let signed_in = world.sessions.iter().filter(|session| session.user_id.is_some());
            signed_in.map(|session| session.id.clone()).collect()
        })
    }

    /// Runs a command line as if half a minute had passed, because a code works once; gives the pages that it wrote to.
    async fn run(&self, arguments: &[&str]) -> (Ran, BTreeSet<String>) {
        let fixture = &self.sealed.fixture;
        fixture.world(|world| world.users.iter_mut().for_each(|user| user.totp_last_step = None));
        let since = fixture.request_count();
        let ran = self.sealed.run(arguments).await;
        let log = fixture.sandbox.requests();
        let mut doors = BTreeSet::new();
        for request in log[since..].iter().filter(|request| !request.by_factory) {
            let path = request.path.strip_prefix(self.cell.axes.root());
            let parts: Vec<&str> = path
                .unwrap_or(&request.path)
                .split('/')
                .map(|part| if part.parse::<u64>().is_ok() { "*" } else { part })
                .collect();
            let path = parts.join("/");
            let is_expected = match request.status {
                // A dead program waits for no answer.
                None => ran.code == -1,
                Some(status) => status < 400 || MISSING.contains(&(status, &path)),
            };
            assert!(is_expected, "{arguments:?}: {request:?}\n{}", ran.all());
            let is_page = !path.starts_with("/api/") && path != "/oauth/token";
            if request.side == Side::Gitlab && request.write && is_page {
                doors.insert(format!("{} {path}", request.method));
            }
        }
        (ran, doors)
    }

    /// Does what the step says that the program leaves to a person.
    async fn approve(&self, ran: &Ran) {
        let fixture = &self.sealed.fixture;
        let mut lines = ran.stdout.lines().map(str::trim);
        let address = lines.find(|line| line.contains("/oauth/authorize?"));
        let address = address.unwrap_or_else(|| panic!("no address in {}", ran.all()));
        // The person's browser finds the name of this GitLab.
        let address = address.replace(EXTERNAL, &fixture.sandbox.gitlab_url());
        // Whoever has no password yet sets one by the link that GitLab has mailed.
        fixture.change_user(DROID, |droid| {
            droid.password_digest = digest(DROID_PASSWORD);
            droid.password_automatically_set = false;
        });
        Hands(fixture).approve_at(&address, DROID, DROID_PASSWORD).await;
    }

    /// Applies until it is done; gives the pages that were written to.
    async fn carry_out(&self) -> BTreeSet<String> {
        let way = self.cell.way;
        // One request at a time, so that they are the same in every run.
        let again = vec!["apply", "--auto-approve", "--parallelism", "1"];
        let mut arguments = again.clone();
        if self.cell.cut.is_none() {
            let plan = ["plan", "--out", "saved.plan", "-vvv", "--log-format", "json"];
            self.run(&plan).await.0.expect(0);
            arguments = vec!["apply", "saved.plan", "-vvv"];
        }
        let mut doors = BTreeSet::new();
        let (mut killed, mut approved) = (false, false);
        loop {
            let (ran, more) = self.run(&arguments).await;
            doors.extend(more);
            arguments.clone_from(&again);
            match ran.code {
                0 if approved || !way.person || killed => return doors,
                3 if way.person && !approved => {
                    self.approve(&ran).await;
                    approved = true;
                }
                -1 if !killed && self.was_cut.load(Ordering::SeqCst) => {
                    killed = true;
                    let mut orphans = self.who_is_signed_in();
                    orphans.remove(COOKIE);
                    assert!(orphans.len() <= 2, "{orphans:?}");
                    *self.orphans.lock().expect("the orphans") = orphans;
                }
                _ => panic!("{}", ran.all()),
            }
        }
    }

    /// Requires that all is in order.
    fn expect_whole(&self) {
        let fixture = &self.sealed.fixture;
        fixture.expect_connected("at the end");
        assert_eq!(fixture.state().get("intents"), None, "an announcement is left");
        assert_eq!(left_behind(fixture.folder()), None);
        let after = fixture.world(|world| world.clone());
        for ((what, before), (_, after)) in undeclared(&self.before).iter().zip(&undeclared(&after)) {
            assert_eq!(before, after, "undeclared {what}");
        }
        let droids: Vec<_> = after.users.iter().filter(|user| user.username == DROID).collect();
        assert_eq!(droids.len(), 1, "{droids:#?}");
        if self.cell.way.doors.contains(&REGISTER) {
            let kept = std::fs::read_to_string(fixture.path(AUTHENTICATOR)).unwrap_or_default();
            assert_eq!(second_factor(&kept, droids[0]), None);
        }
        if after.switches.enforce_terms {
            assert_eq!(droids[0].accepted_terms, after.terms_in_force());
        }
        let refused = |user: &&User| user.locked || user.failed_attempts > 0;
        assert_eq!(after.users.iter().find(refused).map(|user| &user.username), None);
        let is_handed_over = self.before.sessions.iter().any(|session| session.id == COOKIE);
        let mut signed_in = self.who_is_signed_in();
        assert_eq!(signed_in.remove(COOKIE), is_handed_over, "the person's session");
        let orphans = self.orphans.lock().expect("the orphans");
        assert!(signed_in.is_subset(&orphans), "{:?}", after.sessions);
    }

    /// Tries it.
    async fn walk(&self) -> Walked {
        let Cell { way, axes, cut } = self.cell;
        let doors = self.carry_out().await;
        self.is_done.store(true, Ordering::SeqCst);
        let walked = Walked {
            requests: self.requests.load(Ordering::SeqCst),
            was_cut: self.was_cut.load(Ordering::SeqCst),
        };
        self.expect_whole();
        let (ran, idle) = self
            .run(&["plan", "--detailed-exitcode", "--format", "json", "-vv"])
            .await;
        ran.expect(0);
        self.expect_whole();
        // Nobody enters Admin Mode where there is none.
        let wanted = |doors: &[&str]| {
            let doors = doors.iter().filter(|door| axes.admin_mode || **door != ENTER_ADMIN);
            doors.map(|door| (*door).to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(idle, wanted(way.idle), "a plan with nothing to do");
        if cut.is_none() {
            assert_eq!(doors, wanted(way.doors), "all that was applied");
        }
        walked
    }
}

/// How a trial went well.
struct Walked {
    requests: usize,
    /// Whether it was cut off where it was to be.
    was_cut: bool,
}

impl Cell {
    fn name(&self) -> String {
        let Axes {
            generation,
            admin_mode,
            place,
        } = self.axes;
        let mut name = format!("{}: {}, {place:?}", self.way.name, generation.name());
        if admin_mode {
            name.push_str(", Admin Mode");
        }
        if let Some((number, phase)) = self.cut {
            let _ = write!(name, ", killed {phase:?} request {number}");
        }
        name
    }
}

/// What came of some cells.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    killed: usize,
    /// Killed at no request, because there were fewer.
    missed: usize,
    failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.killed += other.killed;
        self.missed += other.missed;
        self.failed.extend(other.failed);
    }
}

/// How many are tried side by side: many of those that wait for a code, for they do nothing meanwhile.
struct Turns {
    few: Semaphore,
    many: Semaphore,
}

static TURNS: Turns = Turns {
    few: Semaphore::const_new(4),
    many: Semaphore::const_new(40),
};

/// Tries a cell in its turn.
fn start(cell: Cell) -> JoinHandle<Walked> {
    tokio::spawn(async move {
        let waits = (cell.way.codes)(&cell.axes);
        let turns = if waits { &TURNS.many } else { &TURNS.few };
        let _turn = turns.acquire().await.expect("nobody closes it");
        Trial::new(cell).await.walk().await
    })
}

/// Tries cells side by side.
async fn walk(cells: Vec<Cell>) -> Tally {
    let started: Vec<_> = cells.into_iter().map(|cell| (cell, start(cell))).collect();
    let mut tally = Tally::default();
    for (cell, walked) in started {
        match (walked.await, cell.cut) {
            (Ok(_), None) => tally.whole += 1,
            (Ok(walked), Some(_)) if walked.was_cut => tally.killed += 1,
            (Ok(_), Some(_)) => tally.missed += 1,
            (Err(error), _) => {
                let panic = error.into_panic();
                let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                eprintln!("{}: {said}", cell.name());
                tally.failed.push(cell.name());
            }
        }
    }
    tally
}

/// Of the requests each so many is one to be killed at where not all are, up to about as many as a way has.
const EVERY: usize = 9;
const ABOUT: usize = 60;

fn side(number: usize) -> Phase {
    if number.is_multiple_of(2) {
        Phase::Before
    } else {
        Phase::After
    }
}

/// Tries a way: in so much as `.ci/run` has the time for, or in all.
async fn try_way(at: usize, way: &'static Way, all: bool) -> Tally {
    let axes = if all { Axes::all() } else { Axes::few(at) };
    let cells: Vec<Cell> = axes
        .iter()
        .map(|axes| Cell {
            way,
            axes: *axes,
            cut: None,
        })
        .collect();
    // Each request under other axes, in turn before and after it is processed.
    let elsewhere = |number: usize| Cell {
        way,
        axes: axes[number % axes.len()],
        cut: Some((number, side(number))),
    };
    let kills = async {
        if !all {
            return walk((1 + at % EVERY..=ABOUT).step_by(EVERY).map(elsewhere).collect()).await;
        }
        let killed = |cut| Cell {
            way,
            axes: Axes::KILLED,
            cut: Some(cut),
        };
        let counted = start(killed((usize::MAX, Phase::Before))).await;
        let requests = 1..=counted.expect("its undisturbed run ends well").requests;
        // The other side of it under the same axes.
        let here = requests.clone().map(|number| killed((number, side(number + 1))));
        walk(here.chain(requests.map(elsewhere)).collect()).await
    };
    let begun = Instant::now();
    let (mut tally, kills) = tokio::join!(walk(cells), kills);
    tally.add(kills);
    report(way.name, &tally, begun);
    tally
}

fn report(name: &str, tally: &Tally, begun: Instant) {
    eprintln!(
        "{name}: {} cells, {} kills, {} not reached, {} failed; {} s",
        tally.whole,
        tally.killed,
        tally.missed,
        tally.failed.len(),
        begun.elapsed().as_secs()
    );
}

#[test]
fn the_page_has_each_way_and_what_cannot_be() {
    let page = std::fs::read_to_string("docs/sign-in.md").expect("the page");
    let mut lines: Vec<String> = WAYS
        .iter()
        .map(|way| format!("| {} | {} | {} |", way.name, way.declared, way.design))
        .collect();
    lines.extend(
        IMPOSSIBLE
            .iter()
            .map(|one| format!("| cannot: {} | | {} |", one.what, one.said)),
    );
    let table = lines.join("\n");
    assert!(page.contains(&table), "docs/sign-in.md has not:\n{table}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_asked() {
    for Impossible { what, config, said } in IMPOSSIBLE {
        let fixture = Fixture::complete().await;
        config.iter().for_each(|(from, to)| fixture.edit_config(from, to));
        let ran = fixture.apply().await.expect(1);
        assert!(unwrapped(&ran.stderr).contains(said), "{what}: {}", ran.stderr);
        assert_eq!(fixture.request_count(), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn each_way_gets_in_once() {
    let cells = WAYS.iter().enumerate().filter_map(|(at, way)| {
        let mut few = Axes::few(at).into_iter().cycle().skip(at).take(5);
        let axes = few.find(|axes| !(way.codes)(axes))?;
        Some(Cell { way, axes, cut: None })
    });
    let tally = walk(cells.collect()).await;
    assert_eq!(tally.failed, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "takes minutes; `.ci/run` runs it, and with `SETPOINT_WAYS=all` it takes all of it"]
async fn each_way_gets_in_everywhere_and_killed_anywhere() {
    let begun = Instant::now();
    let all = std::env::var_os("SETPOINT_WAYS").is_some_and(|extent| extent == "all");
    let tried = WAYS
        .iter()
        .enumerate()
        .map(|(at, way)| tokio::spawn(try_way(at, way, all)));
    let mut tally = Tally::default();
    for way in tried.collect::<Vec<_>>() {
        tally.add(way.await.expect("a way that fails is told of"));
    }
    report("in all", &tally, begun);
    assert_eq!(tally.failed, [] as [&str; 0]);
    assert!(tally.whole >= 5 * WAYS.len() && tally.killed > WAYS.len(), "{tally:?}");
}
