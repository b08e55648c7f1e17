//! The matrix of `docs/sign-in.md`: in which GitLab which account gets in, by itself or after which step of a person. Each
//! row of the page stands for cells, each cell is tried, and the steps that the row names are taken in the order in which
//! `doctor` asks for them, until it finds nothing more.

use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use setpoint::sandbox::ROOT_PASSWORD;
use setpoint::sandbox::world::{Identity, Source, User, WebSession, digest};

use super::common::plans::{DROID, change, differing, notes, unwrapped};
use super::common::{Fixture, run};

const ADMINISTRATOR: &str = "chief";
const COOKIE: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Administrator,
    Droid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Password,
    Code,
    Ldap,
    SingleSignOn,
}

/// By what a second factor is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enforced {
    No,
    Instance,
    Group,
    Administrators,
}

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Register,
    AcceptTerms,
    HandOver,
    EnterAdminMode,
    Approve,
}

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent settings of an instance"
)]
struct Cell {
    who: Who,
    way: Way,
    enforced: Enforced,
    past_grace: bool,
    admin_mode: bool,
    terms: bool,
    verification: bool,
}

/// A row of the page: cells that come out alike.
struct Row {
    who: Who,
    ways: &'static [Way],
    enforced: &'static [Enforced],
    admin_mode: Option<bool>,
    terms: Option<bool>,
    verification: Option<bool>,
    /// The keys of the configuration that are the way out.
    keys: &'static [&'static str],
    steps: &'static [Step],
}

const BY_PASSWORD: &[Way] = &[Way::Password, Way::Ldap];
const BY_OWN_FORM: &[Way] = &[Way::Password];
const BY_LDAP: &[Way] = &[Way::Ldap];
const BY_CODE: &[Way] = &[Way::Code];
const ELSEWHERE: &[Way] = &[Way::SingleSignOn];
const ALL: &[Enforced] = &[
    Enforced::No,
    Enforced::Instance,
    Enforced::Group,
    Enforced::Administrators,
];
const NOT: &[Enforced] = &[Enforced::No];
const SOMEHOW: &[Enforced] = &[Enforced::Instance, Enforced::Group, Enforced::Administrators];
/// What concerns the droid, and what does not.
const OF_DROID: &[Enforced] = &[Enforced::Instance, Enforced::Group];
const OF_OTHERS: &[Enforced] = &[Enforced::No, Enforced::Administrators];

const TOTP: &str = "user.totp";
const TERMS: &str = "user.accept_terms";

/// An administrator's row, whatever Admin Mode is.
const fn administrator(
    ways: &'static [Way],
    enforced: &'static [Enforced],
    terms: Option<bool>,
    verification: Option<bool>,
    steps: &'static [Step],
) -> Row {
    Row {
        who: Who::Administrator,
        ways,
        enforced,
        admin_mode: None,
        terms,
        verification,
        keys: &[],
        steps,
    }
}

/// A row of the droid's, whom Admin Mode does not concern.
const fn droid(
    ways: &'static [Way],
    enforced: &'static [Enforced],
    terms: bool,
    verification: Option<bool>,
    keys: &'static [&'static str],
    steps: &'static [Step],
) -> Row {
    Row {
        who: Who::Droid,
        ways,
        enforced,
        admin_mode: None,
        terms: Some(terms),
        verification,
        keys,
        steps,
    }
}

const ROWS: &[Row] = &[
    administrator(BY_OWN_FORM, NOT, Some(false), Some(false), &[]),
    administrator(BY_OWN_FORM, NOT, Some(true), Some(false), &[Step::AcceptTerms]),
    administrator(BY_OWN_FORM, NOT, Some(false), Some(true), &[Step::Register]),
    administrator(
        BY_OWN_FORM,
        NOT,
        Some(true),
        Some(true),
        &[Step::Register, Step::AcceptTerms],
    ),
    administrator(BY_LDAP, NOT, Some(false), None, &[]),
    administrator(BY_LDAP, NOT, Some(true), None, &[Step::AcceptTerms]),
    administrator(BY_PASSWORD, SOMEHOW, Some(false), None, &[Step::Register]),
    administrator(
        BY_PASSWORD,
        SOMEHOW,
        Some(true),
        None,
        &[Step::Register, Step::AcceptTerms],
    ),
    administrator(BY_CODE, ALL, Some(false), None, &[]),
    administrator(BY_CODE, ALL, Some(true), None, &[Step::AcceptTerms]),
    Row {
        admin_mode: Some(false),
        ..administrator(ELSEWHERE, ALL, None, None, &[Step::HandOver])
    },
    Row {
        admin_mode: Some(true),
        ..administrator(ELSEWHERE, ALL, None, None, &[Step::HandOver, Step::EnterAdminMode])
    },
    droid(BY_OWN_FORM, OF_OTHERS, false, Some(false), &[], &[]),
    droid(BY_OWN_FORM, OF_OTHERS, true, Some(false), &[TERMS], &[]),
    droid(BY_OWN_FORM, OF_DROID, false, Some(false), &[TOTP], &[]),
    droid(BY_OWN_FORM, OF_DROID, true, Some(false), &[TOTP, TERMS], &[]),
    droid(BY_OWN_FORM, ALL, false, Some(true), &[], &[Step::Register]),
    droid(BY_OWN_FORM, ALL, true, Some(true), &[TERMS], &[Step::Register]),
    droid(BY_LDAP, OF_OTHERS, false, None, &[], &[]),
    droid(BY_LDAP, OF_OTHERS, true, None, &[TERMS], &[]),
    droid(BY_LDAP, OF_DROID, false, None, &[TOTP], &[]),
    droid(BY_LDAP, OF_DROID, true, None, &[TOTP, TERMS], &[]),
    droid(BY_CODE, ALL, false, None, &[], &[]),
    droid(BY_CODE, ALL, true, None, &[TERMS], &[]),
    droid(ELSEWHERE, ALL, false, None, &[], &[Step::Approve]),
    droid(ELSEWHERE, ALL, true, None, &[], &[Step::AcceptTerms, Step::Approve]),
];

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for who in [Who::Administrator, Who::Droid] {
        for way in [Way::Password, Way::Code, Way::Ldap, Way::SingleSignOn] {
            for &enforced in ALL {
                for bits in 0..16 {
                    cells.push(Cell {
                        who,
                        way,
                        enforced,
                        past_grace: bits & 1 != 0,
                        admin_mode: bits & 2 != 0,
                        terms: bits & 4 != 0,
                        verification: bits & 8 != 0,
                    });
                }
            }
        }
    }
    cells
}

impl Row {
    fn has(&self, cell: &Cell) -> bool {
        let is = |wanted: Option<bool>, set: bool| wanted.is_none_or(|wanted| wanted == set);
        self.who == cell.who
            && self.ways.contains(&cell.way)
            && self.enforced.contains(&cell.enforced)
            && is(self.admin_mode, cell.admin_mode)
            && is(self.terms, cell.terms)
            && is(self.verification, cell.verification)
    }

    /// As the page has it.
    fn line(&self) -> String {
        let way = |way: &Way| match way {
            Way::Password => "password",
            Way::Code => "password and code",
            Way::Ldap => "LDAP",
            Way::SingleSignOn => "single sign-on only",
        };
        let by = |by: &Enforced| match by {
            Enforced::No => "not",
            Enforced::Instance => "by the instance",
            Enforced::Group => "by a group",
            Enforced::Administrators => "for administrators",
        };
        let on = |set: Option<bool>| set.map_or("*", |set| if set { "on" } else { "off" });
        let ways: Vec<_> = self.ways.iter().map(way).collect();
        let enforced = if self.enforced == ALL {
            "*".to_owned()
        } else {
            self.enforced.iter().map(by).collect::<Vec<_>>().join(", ")
        };
        let who = match self.who {
            Who::Administrator => "administrator",
            Who::Droid => "droid",
        };
        let mut outcome = match self.steps {
            [] => "works".to_owned(),
            steps => {
                let steps: Vec<_> = steps.iter().map(|step| self.step(*step)).collect();
                format!("after a step: {}", steps.join("; "))
            }
        };
        if !self.keys.is_empty() {
            let keys: Vec<_> = self.keys.iter().map(|key| format!("`{key}`")).collect();
            outcome = format!("{outcome}, with {}", keys.join(" and "));
        }
        format!(
            "| {who} | {} | {enforced} | * | {} | {} | {} | {outcome} |",
            ways.join(", "),
            on(self.admin_mode),
            on(self.terms),
            on(self.verification)
        )
    }

    fn step(&self, step: Step) -> &'static str {
        match (step, self.who) {
            (Step::Register, Who::Administrator) => "register an authenticator (`gitlab.admin_session.totp_secret`)",
            (Step::Register, Who::Droid) => {
                "register an authenticator (`user.totp_secret`, or where `user.totp` loads it)"
            }
            (Step::AcceptTerms, _) => "accept the terms",
            (Step::HandOver, _) => "sign in, and hand the session over (`gitlab.admin_session.cookie`)",
            (Step::EnterAdminMode, _) => "enter Admin Mode in it",
            (Step::Approve, _) => "approve (`user.sign_in = \"person\"`)",
        }
    }
}

impl Cell {
    fn row(&self) -> &'static Row {
        let rows: Vec<_> = ROWS.iter().filter(|row| row.has(self)).collect();
        match rows[..] {
            [row] => row,
            _ => panic!("{self:?} is in {} rows", rows.len()),
        }
    }

    fn name(&self) -> &'static str {
        match self.who {
            Who::Administrator => ADMINISTRATOR,
            Who::Droid => DROID,
        }
    }

    fn is_enforced(&self) -> bool {
        self.enforced != Enforced::No && (self.enforced != Enforced::Administrators || self.who == Who::Administrator)
    }

    /// Whether a second code is needed, which is that of the next half minute.
    fn waits(&self) -> bool {
        let has_code = self.way == Way::Code || self.row().steps.contains(&Step::Register);
        self.who == Who::Administrator && self.admin_mode && has_code
    }

    /// Makes GitLab as it is in this cell. Whose token Setpoint has is somebody else.
    fn set(&self, fixture: &Fixture) {
        fixture.world(|world| {
            let (id, now) = (world.next_id("user"), world.now());
            let switches = &mut world.switches;
            switches.admin_mode = self.admin_mode;
            switches.enforce_terms = self.terms;
            switches.require_two_factor = self.enforced == Enforced::Instance;
            switches.require_admin_two_factor = self.enforced == Enforced::Administrators;
            switches.require_email_verification_on_account_locked = self.verification;
            "192.0.2.7".clone_into(&mut switches.client_address);
            let provider = match self.way {
                Way::Password | Way::Code => None,
                Way::Ldap => Some("ldapmain"),
                Way::SingleSignOn => Some("saml"),
            };
            switches.ldap_servers.insert("ldapmain".to_owned());
            switches.sso_providers.insert("saml".to_owned());
            switches.disable_password_authentication_for_users_with_sso_identities = true;
            for group in &mut world.groups {
                group.require_two_factor = self.enforced == Enforced::Group && group.full_path == "platform";
            }
            // Where the droid does not sign in by itself, nothing is there to begin with.
            if self.who == Who::Droid && self.way == Way::SingleSignOn {
                return;
            }
            let begun = if self.past_grace {
                now - SignedDuration::from_hours(1000)
            } else {
                now
            };
            let identity = provider.map(|provider| Identity {
                provider: provider.to_owned(),
                extern_uid: self.name().to_owned(),
                password_digest: digest(ROOT_PASSWORD),
            });
            world.users.push(User {
                id,
                username: self.name().to_owned(),
                name: self.name().to_owned(),
                email: format!("{}@example.com", self.name()),
                confirmed_at: Some(now),
                admin: self.who == Who::Administrator,
                password_digest: digest(ROOT_PASSWORD),
                totp_secret: (self.way == Way::Code).then(|| KEY.to_owned()),
                known_addresses: ["198.51.100.1".to_owned()].into(),
                two_factor_grace_started_at: Some(begun),
                identities: identity.into_iter().collect(),
                created_at: now,
                ..User::default()
            });
            let group = world.group_at("platform").expect("the group").id;
            world.set_member(Source::Group(group), id, 30);
        });
        std::fs::write(fixture.path("key"), KEY).expect("the key is written");
    }

    /// The configuration, with what these steps have given it.
    fn configure(&self, fixture: &Fixture, taken: &[Step]) {
        let mut account = vec!["password = { env = \"GITLAB_ADMIN_PASSWORD\" }"];
        if self.way == Way::Ldap {
            account.push("provider = \"ldapmain\"");
        }
        if self.way == Way::Code || taken.contains(&Step::Register) {
            account.push("totp_secret = { file = \"key\" }");
        } else if self.row().keys.contains(&TOTP) {
            account.push("totp = { save = { file = \"totp\" }, load = { file = \"totp\" } }");
        }
        if self.row().keys.contains(&TERMS) {
            account.push("accept_terms = true");
        }
        let username = format!("username = \"{ADMINISTRATOR}\"");
        match (self.way, self.who) {
            (Way::SingleSignOn, Who::Administrator) => account = vec!["cookie = { env = \"GITLAB_SESSION\" }"],
            (Way::SingleSignOn, Who::Droid) => account = vec!["sign_in = \"person\""],
            (_, Who::Administrator) => account.push(&username),
            (_, Who::Droid) => {}
        }
        let account = format!("{}\n", account.join("\n"));
        let own = "password = { env = \"FACTORY_DROID_PASSWORD\" }\n";
        let config = fixture.config();
        fixture.write_config(&match self.who {
            Who::Administrator => config
                .replace(
                    "\n[factory]",
                    &format!("\n[gitlab.admin_session]\n{account}\n[factory]"),
                )
                .replace(own, ""),
            Who::Droid => config.replace(own, &account),
        });
    }

    /// What a person does in a browser.
    fn take(&self, fixture: &Fixture, step: Step) {
        let own = |f: &dyn Fn(&mut User)| fixture.change_user(self.name(), f);
        match step {
            Step::Register => own(&|user| user.totp_secret = Some(KEY.to_owned())),
            Step::AcceptTerms => own(&|user| user.accepted_terms = Some(1)),
            // All that GitLab asks for has been done there; within the grace period a second factor was put off.
            Step::HandOver => {
                own(&|user| {
                    user.accepted_terms = Some(1);
                    user.security_key = self.is_enforced() && self.past_grace;
                });
                fixture.world(|world| {
                    let now = world.now();
                    world.sessions.push(WebSession {
                        id: COOKIE.to_owned(),
                        user_id: world.user_named(ADMINISTRATOR).map(|user| user.id),
                        provider: Some("saml".to_owned()),
                        skip_two_factor_until: Some(now + SignedDuration::from_hours(48)),
                        created_at: now,
                        ..WebSession::default()
                    });
                });
            }
            Step::EnterAdminMode => fixture.world(|world| {
                let until = world.now() + SignedDuration::from_hours(6);
                let session = world.sessions.iter_mut().find(|session| session.id == COOKIE);
                session.expect("it was handed over").admin_mode_until = Some(until);
            }),
            Step::Approve => unreachable!("nobody waits for that here"),
        }
    }

    /// What stands in the way, in `doctor`'s words.
    async fn obstacle(&self, fixture: &Fixture) -> Option<String> {
        let mut command = fixture.command(&["doctor", "--format", "json"]);
        command.env("GITLAB_SESSION", COOKIE);
        let ran = run(command).await.json();
        let id = match self.who {
            Who::Administrator => "gitlab.admin_session",
            Who::Droid => "gitlab.droid_sign_in",
        };
        let checks = ran["checks"].as_array().expect("doctor has checks");
        let check = checks.iter().find(|check| check["id"] == id);
        let check = check.unwrap_or_else(|| panic!("{self:?}: {ran:#}"));
        let said = unwrapped(&check.to_string());
        let enrols = check["status"] == "skipped" && said.contains("apply registers an authenticator first");
        (check["status"] != "ok" && !enrols).then_some(said)
    }

    /// Whether the words ask for this step.
    fn asks(said: &str, step: Step) -> bool {
        let phrases: &[&str] = match step {
            Step::Register => &["set up two-factor", "register an authenticator for"],
            Step::AcceptTerms => &["accepted the terms of service"],
            Step::HandOver => &["sign in to gitlab as an administrator in a browser"],
            Step::EnterAdminMode => &["enter admin mode in that browser"],
            Step::Approve => &["a person approves it"],
        };
        let said = said.to_lowercase();
        phrases.iter().any(|phrase| said.contains(phrase))
    }

    /// Goes the way that the row tells.
    async fn walk(self) {
        let fixture = Fixture::new().await;
        self.set(&fixture);
        self.configure(&fixture, &[]);
        let mut left = self.row().steps.to_vec();
        if left.contains(&Step::Approve) {
            return self.expect_steps_in_plan(&fixture).await;
        }
        let mut taken = Vec::new();
        while let Some(said) = self.obstacle(&fixture).await {
            let asked = left.iter().position(|step| Self::asks(&said, *step));
            let asked = asked.unwrap_or_else(|| panic!("{self:?}, after {taken:?}: {said}"));
            let step = left.remove(asked);
            self.take(&fixture, step);
            taken.push(step);
            self.configure(&fixture, &taken);
            // As if half a minute had passed: a code works once.
            fixture.change_user(self.name(), |user| user.totp_last_step = None);
        }
        assert_eq!(left, [], "{self:?} works after {taken:?}");
        let locked = fixture.world(|world| world.users.iter().any(|user| user.locked || user.failed_attempts > 0));
        assert!(!locked, "{self:?}");
    }

    /// Where a person approves, the plan leaves just these steps to them.
    async fn expect_steps_in_plan(&self, fixture: &Fixture) {
        let plan = fixture.plan().await;
        let authorization = change(&plan, "factory.authorization");
        assert_eq!(authorization["status"], "operator", "{self:?}: {authorization:#}");
        assert!(Self::asks(&notes(authorization), Step::Approve), "{authorization:#}");
        let user = change(&plan, "gitlab.user");
        let accepts = differing(user).contains(&"terms") && !notes(user).contains("Setpoint accepts");
        assert_eq!(accepts, self.terms, "{self:?}: {user:#}");
    }
}

async fn walk(cells: Vec<Cell>, at_once: usize) {
    let mut walked = stream::iter(cells).map(Cell::walk).buffer_unordered(at_once);
    while walked.next().await.is_some() {}
}

#[test]
fn each_cell_is_in_one_row_and_the_page_has_the_rows() {
    let cells = cells();
    assert_eq!(cells.len(), 512);
    for cell in &cells {
        cell.row();
    }
    let page = std::fs::read_to_string("docs/sign-in.md").expect("the page");
    let table = ROWS.iter().map(Row::line).collect::<Vec<_>>().join("\n");
    assert!(page.contains(&table), "docs/sign-in.md has not:\n{table}");
}

#[tokio::test]
async fn a_cell_of_each_row_comes_out_as_the_row_says() {
    let cells = cells();
    let first = |row: &Row| cells.iter().find(|cell| row.has(cell) && !cell.waits()).cloned();
    let cells: Vec<_> = ROWS
        .iter()
        .map(|row| first(row).expect("a cell that need not wait"))
        .collect();
    walk(cells, 2).await;
}

#[tokio::test]
#[ignore = "takes minutes; `.ci/run` runs it"]
async fn each_cell_comes_out_as_its_row_says() {
    let (waiting, others): (Vec<_>, Vec<_>) = cells().into_iter().partition(Cell::waits);
    // Those that wait for a code do nothing meanwhile.
    walk(waiting, 32).await;
    walk(others, 4).await;
}
