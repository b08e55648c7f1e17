//! Random worlds: whatever is declared, live and recorded, and whatever goes wrong on the way, applying ends with nothing
//! left to do but what a person has to do or what cannot be done, touches nothing that was not declared, and writes no
//! more than what the plan has shown.
//!
//! A run is made from its seed alone, so that a violation can be tried again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use setpoint::sandbox::world::{Application, Source, digest};
use setpoint::sandbox::{Action, DROID_PASSWORD, Intercept, RequestLog, Seen, World};

use super::check::api_write;
use super::declared::Declared;
use super::external_changes::{change, droid};
use super::fault::{mishap_of, private};
use super::injector::{Fault, Injector, Reach};
use super::point::unlock;
use super::rng::Rng;
use super::scenario::world_of_others;
use super::stage::{Ended, Snapshot, Stage};
use super::{Tally, Verdict, each};

/// What came of the runs, besides what any matrix counts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Mishaps and kills that took place.
    pub(crate) faults: usize,
    /// Runs without any, in which writes were counted.
    pub(crate) undisturbed: usize,
    /// Changes that were left to a person or could not be made, by their reasons.
    pub(crate) left: BTreeMap<String, usize>,
}

/// Runs so many worlds, beginning with this seed.
pub(crate) fn runs(seed: u64, many: u64, workers: usize) -> (Tally, Found) {
    let seeds: Vec<u64> = (0..many).map(|more| seed.wrapping_add(more)).collect();
    let found = Mutex::new(Found::default());
    let name = |seed: &u64| format!("seed {seed}");
    let tally = each(&seeds, workers, name, |seed| Run::new(*seed).go(&found));
    (tally, found.into_inner().expect("no run panics with it"))
}

const APPLY: [&str; 5] = [
    "apply",
    "--auto-approve",
    "--allow-removals",
    "1000",
    "--allow-interruption",
];

/// As many scopes as Factory asks for.
const LEAST_SCOPES: usize = 7;

struct Run {
    rng: Rng,
    declared: Declared,
    /// What was done, in words.
    story: Vec<String>,
}

/// A world, with what it was before the last apply.
struct Before {
    world: World,
    /// Client ids of the applications that are the program's own.
    ours: BTreeSet<String>,
    /// Where the droid has roles that the record has.
    recorded: HashSet<Source>,
    droid: Option<u64>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        // Neighbours differ in one bit at first.
        rng.next();
        let declared = Declared::new(&mut rng);
        Self {
            rng,
            declared,
            story: Vec::new(),
        }
    }

    fn go(mut self, found: &Mutex<Found>) -> Verdict {
        let done = self.try_out(found);
        done.map(Some).map_err(|why| {
            format!(
                "{why}\n--- what happened\n{}\n--- the configuration\n{}",
                self.story.join("\n"),
                self.declared.render("http://gitlab", "http://factory")
            )
        })
    }

    /// The runs that it took until nothing was left.
    fn try_out(&mut self, found: &Mutex<Found>) -> Result<usize, String> {
        let start = self.past()?;
        let undisturbed = self.rng.percent(40);
        let faults = Arc::new(Several::default());
        let mut count = 0;
        let stage = Stage::new(&start, |child| {
            let mut injectors = faults.injectors.lock().expect("nobody panics with it");
            while !undisturbed && (count == 0 || (count < 3 && self.rng.percent(40))) {
                count += 1;
                injectors.push(Arc::new(self.fault(Arc::clone(&child))));
            }
            drop(injectors);
            Some(Arc::clone(&faults) as Arc<dyn Intercept>)
        });
        stage.configure_as(|gitlab, factory| self.declared.render(gitlab, factory));
        self.rebuild_a_lost_record(&stage)?;
        let before = self.before(&stage);
        self.refused_by_the_guards(&stage, &before)?;
        let parallelism = *self.rng.pick(&["1", "8"]);
        let mut command = APPLY.to_vec();
        command.extend(["--parallelism", parallelism]);

        let plan = if undisturbed { Some(plan(&stage)?) } else { None };
        let first = stage.requests().len();
        faults.begin();
        let ended = stage.run(&command);
        let injected = faults.end();
        stage.come_back();
        if ended.code.is_some() {
            private(&ended)?;
            if !matches!(ended.code, Some(0 | 1 | 3)) {
                return Err(format!("an exit code that is not due: {}", ended.all()));
            }
        }
        if let Some(plan) = &plan
            && !ended.stdout.contains("Failed:")
        {
            counted(plan, &ended, &stage.requests()[first..])?;
        }
        self.story.push(format!("apply, {injected} faults: {:?}", ended.code));

        let mut attempts = 0;
        let mut left = plan_after(&stage, &ended)?;
        while !left.is_settled() {
            attempts += 1;
            if attempts > 2
                && let Some(why) = self.out_of_reach(&stage)
            {
                let mut wrong = Vec::new();
                self.undeclared(&before, &stage.world(), &mut wrong);
                let mut found = found.lock().expect("no run panics with it");
                *found.left.entry(format!("failed: {why}")).or_default() += 1;
                return if wrong.is_empty() { Ok(2) } else { Err(wrong.join("\n")) };
            }
            if attempts > 2 {
                return Err(format!("not done after {attempts} runs: {}\n{:#}", ended.all(), left.0));
            }
            let again = self.apply(&stage)?;
            if !matches!(again.code, Some(0 | 3)) {
                return Err(format!("a run without mishaps: {}", again.all()));
            }
            left = plan_after(&stage, &again)?;
        }
        self.settled(&stage, &before, &left)?;
        let mut found = found.lock().expect("no run panics with it");
        found.faults += injected;
        found.undisturbed += usize::from(undisturbed);
        for change in left.changes() {
            let why = match text(change, "status") {
                "ready" => "waits for one of the others".to_owned(),
                status => format!("{status}: {}", text(change, "reason")),
            };
            *found.left.entry(why).or_default() += 1;
        }
        Ok(attempts)
    }

    /// Where an integration is in use and its record is gone, the program stops until the record is made anew.
    fn rebuild_a_lost_record(&mut self, stage: &Stage) -> Result<(), String> {
        if stage.record().is_some() {
            return Ok(());
        }
        let looked = stage.run(&["plan"]);
        let is_missing = looked.code == Some(1) && looked.stderr.contains("there is no record at");
        if !is_missing && !looked.stdout.contains("setpoint adopt") {
            return Ok(());
        }
        self.story.push("record rebuilt".to_owned());
        let rebuilt = stage.run(&["state", "rebuild", "--auto-approve"]);
        if rebuilt.code == Some(0) {
            Ok(())
        } else {
            Err(format!("the record is not rebuilt: {}", rebuilt.all()))
        }
    }

    /// A world with a past: what was applied before, what others did since, and the record of it, an older one, or none.
    fn past(&mut self) -> Result<Snapshot, String> {
        let mut world = world_of_others();
        world.switches.hash_secrets = self.rng.percent(80);
        (*self.rng.pick(&["17.8.0-ee", "18.5.1-ee", "19.1.0-ee"])).clone_into(&mut world.switches.gitlab_version);
        let mut snapshot = Snapshot::of(world);
        let mut old = None;
        for _ in 0..self.rng.below(3) {
            self.others(&mut snapshot.world);
            let stage = Stage::new(&snapshot, |_| None);
            stage.configure_as(|gitlab, factory| self.declared.render(gitlab, factory));
            let ended = stage.run(&APPLY);
            if !matches!(ended.code, Some(0 | 3)) {
                return Err(format!("an apply in the past: {}", ended.all()));
            }
            self.story.push(format!("apply: {:?}", ended.code));
            old.get_or_insert_with(|| stage.snapshot());
            snapshot = stage.snapshot();
            for _ in 0..self.rng.below(4) {
                self.declared.change(&mut self.rng);
            }
        }
        self.others(&mut snapshot.world);
        match (self.rng.below(10), old) {
            (0..2, _) => {
                self.story.push("record lost".to_owned());
                snapshot.world.terraform_states.clear();
                let secret = snapshot.file("secret");
                Ok(Snapshot::of(snapshot.world).with_file("secret", secret))
            }
            // GitLab takes no serial twice, so there is no older record to be had there.
            (2..5, Some(old)) if !self.declared.team => {
                self.story.push("an older record restored".to_owned());
                let secret = snapshot.file("secret");
                Ok(old.with_world(snapshot.world).with_file("secret", secret))
            }
            _ => Ok(snapshot),
        }
    }

    fn others(&mut self, world: &mut World) {
        for _ in 0..self.rng.below(4) {
            let what = change(world, &self.declared, &mut self.rng);
            self.story.push(what.to_owned());
        }
    }

    /// A mishap, or death, at some request.
    fn fault(&mut self, child: Arc<Mutex<Option<std::process::Child>>>) -> Injector {
        let number = usize::try_from(1 + self.rng.below(50)).unwrap_or(1);
        if self.rng.percent(25) {
            let after = self.rng.percent(50);
            self.story.push(format!("to be killed at request {number}"));
            return Injector::new(child, number, after, Fault::Kill, Reach::Once);
        }
        let (name, after, action, reach) = mishap_of(&mut self.rng);
        self.story.push(format!("{name} ({reach:?}) at request {number}"));
        Injector::new(child, number, after, Fault::Act(action), reach)
    }

    fn before(&self, stage: &Stage) -> Before {
        let world = stage.world();
        let record: Value = stage
            .record()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let mut ours: BTreeSet<String> = world
            .applications
            .iter()
            .filter(|application| application.name == self.declared.name)
            .map(|application| application.uid.clone())
            .collect();
        ours.extend(
            world
                .factory
                .integration
                .iter()
                .map(|integration| integration.application_id.clone()),
        );
        let text = record.to_string();
        let known = world.applications.iter().map(|application| &application.uid);
        ours.extend(known.filter(|uid| text.contains(*uid)).cloned());
        Before {
            ours,
            recorded: record["memberships"]
                .as_object()
                .map(|roles| roles.values().filter_map(|role| source_of(&role["source"])).collect())
                .unwrap_or_default(),
            droid: droid(&world, &self.declared),
            world,
        }
    }

    /// What no plan can know beforehand and no apply can put right, if it is so here.
    fn out_of_reach(&self, stage: &Stage) -> Option<&'static str> {
        let world = stage.world();
        // Before 19 GitLab shows an application's scopes on the administrator's pages only: without a session, and
        // without a record, nobody can tell that some are missing until GitLab refuses the authorization for it.
        let named = |application: &&Application| application.name == self.declared.name;
        let lacks_scopes = |application: &Application| application.scopes.len() < LEAST_SCOPES;
        if !self.declared.admin_session && world.applications.iter().filter(named).any(lacks_scopes) {
            return Some("scopes that GitLab does not show are missing");
        }
        // A droid that was made while nobody was to sign in by password has one that nobody knows, and it stays so:
        // a password is given to a new account only.
        let droid = world.user_named(&self.declared.username);
        if !self.declared.impersonate && droid.is_some_and(|droid| droid.password_digest != digest(DROID_PASSWORD)) {
            return Some("the droid has another password than the configuration says");
        }
        None
    }

    /// Applies; a lock that a dead run has left in GitLab is given back first.
    fn apply(&self, stage: &Stage) -> Result<Ended, String> {
        let ended = stage.run(&APPLY);
        if ended.code == Some(4) && self.declared.team {
            unlock(stage, &ended)?;
            return Ok(stage.run(&APPLY));
        }
        Ok(ended)
    }

    /// An apply that nobody allowed to remove so much, or to cut Factory off until a person comes, is refused and writes
    /// nothing.
    fn refused_by_the_guards(&mut self, stage: &Stage, before: &Before) -> Result<(), String> {
        let plan = plan(stage)?;
        let ready = || plan.changes().filter(|change| text(change, "status") == "ready");
        let removals = ready().filter(|change| change["actions"] == serde_json::json!(["delete"]));
        let removes = self.declared.few_removals && removals.count() > 1;
        let cuts_off = ready().any(|change| change["interrupts"]["ended_by"] == "operator");
        for (is_due, allowed) in [(removes, &APPLY[4..]), (cuts_off, &APPLY[2..4])] {
            if !is_due {
                continue;
            }
            let ended = stage.run(&[&APPLY[..2], allowed].concat());
            self.story.push(format!("refused with {allowed:?}"));
            if ended.code != Some(4) {
                return Err(format!("a guard let through what nobody allowed: {}", ended.all()));
            }
            let [now, then] = [stage.world(), before.world.clone()].map(|mut world| {
                forget_traces(&mut world);
                world
            });
            if now != then {
                return Err("a refused apply changed something".to_owned());
            }
        }
        Ok(())
    }

    /// What must hold in the end.
    fn settled(&self, stage: &Stage, before: &Before, left: &Plan) -> Result<(), String> {
        let mut wrong = Vec::new();
        // The address that a person opens is good for minutes: each apply that leaves it to one asks Factory for another.
        let by_a_person = |change: &Value| text(change, "status") == "operator";
        let begins_anew = left.of("factory.authorization").is_some_and(by_a_person);
        let counts = |request: &RequestLog| {
            api_write(request) && !(begins_anew && request.path.ends_with("/gitlab-sh/authorizations"))
        };
        // The record may have to catch up with what was found; after that there is nothing to write at all.
        self.idle(stage, |request| counts(request) && !to_the_record(request), &mut wrong)?;
        let record = stage.record();
        self.idle(stage, counts, &mut wrong)?;
        if stage.record() != record {
            wrong.push(format!(
                "the record has not come to rest:\n{}\n{}",
                record.unwrap_or_default(),
                stage.record().unwrap_or_default()
            ));
        }
        let world = stage.world();
        self.undeclared(before, &world, &mut wrong);
        if left.changes().next().is_none() {
            self.connected(stage, &world, &mut wrong);
        }
        if world.terraform_states.iter().any(|state| state.lock.is_some()) {
            wrong.push("the record is still locked".to_owned());
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("\n"))
        }
    }

    /// Applies where there is nothing to do.
    fn idle(&self, stage: &Stage, counts: impl Fn(&RequestLog) -> bool, wrong: &mut Vec<String>) -> Result<(), String> {
        let first = stage.requests().len();
        let ended = self.apply(stage)?;
        if !matches!(ended.code, Some(0 | 3)) {
            wrong.push(format!("an apply with nothing to do: {}", ended.all()));
        }
        let requests = stage.requests();
        let writes: Vec<_> = requests[first..].iter().filter(|request| counts(request)).collect();
        if !writes.is_empty() {
            wrong.push(format!("writes where nothing was to be done: {writes:?}"));
        }
        Ok(())
    }

    /// Nothing that nobody declared is other than before.
    fn undeclared(&self, before: &Before, after: &World, wrong: &mut Vec<String>) {
        let then = &before.world;
        let mut same = |what: &str, then: String, now: String| {
            if then != now {
                wrong.push(format!("undeclared {what} changed:\n{then}\n{now}"));
            }
        };
        let droid = before.droid.or_else(|| droid(after, &self.declared));
        let people = |world: &World| {
            let mut world = world.clone();
            forget_traces(&mut world);
            world.users.retain(|user| Some(user.id) != droid);
            format!("{:?}", world.users)
        };
        same("users", people(then), people(after));
        let foreign = |world: &World| -> Vec<String> {
            let foreign = world
                .applications
                .iter()
                .filter(|one| one.name != self.declared.name && !before.ours.contains(&one.uid));
            foreign.map(|one| format!("{one:?}")).collect()
        };
        same("applications", foreign(then).join("\n"), foreign(after).join("\n"));
        let roles = |world: &World| {
            let others = world.members.iter().filter(|member| {
                Some(member.user_id) != droid || {
                    let path = path_of(world, member.source).to_ascii_lowercase();
                    let mut declared = self.declared.memberships.keys();
                    !declared.any(|declared| declared.eq_ignore_ascii_case(&path))
                        && !before.recorded.contains(&member.source)
                }
            });
            format!("{:?}", others.collect::<Vec<_>>())
        };
        same("memberships", roles(then), roles(after));
        for (what, then, now) in [
            ("groups", format!("{:?}", then.groups), format!("{:?}", after.groups)),
            (
                "projects",
                format!("{:?}", then.projects),
                format!("{:?}", after.projects),
            ),
            (
                "tokens",
                format!("{:?}", then.personal_tokens),
                format!("{:?}", after.personal_tokens),
            ),
        ] {
            same(what, then, now);
        }
        self.selection(then, after, wrong);
    }

    /// Enabled is what was declared, and what was enabled before and is not to be disabled.
    fn selection(&self, then: &World, after: &World, wrong: &mut Vec<String>) {
        let path = |id: &u64| after.project(*id).map_or("?", |project| project.full_path.as_str());
        for id in after.factory.enabled.difference(&then.factory.enabled) {
            if !self.declared.selects(path(id)) {
                wrong.push(format!("{} was enabled, and nobody declared it", path(id)));
            }
        }
        for id in then.factory.enabled.difference(&after.factory.enabled) {
            if !self.declared.disable_unlisted || self.declared.selects(path(id)) {
                wrong.push(format!("{} was disabled, and nobody declared it", path(id)));
            }
        }
    }

    /// With nothing left to do the integration is whole.
    fn connected(&self, stage: &Stage, world: &World, wrong: &mut Vec<String>) {
        let Some(integration) = &world.factory.integration else {
            wrong.push("Factory has no integration".to_owned());
            return;
        };
        let Some(application) = world.application_by_uid(&integration.application_id) else {
            wrong.push("Factory has an application that is not there".to_owned());
            return;
        };
        if application.name != self.declared.name {
            wrong.push(format!("Factory has the application `{}`", application.name));
        }
        // That a secret was renewed elsewhere shows to nobody who cannot load it, until Factory needs it again.
        if self.declared.stores_secret && digest(&integration.secret) != application.secret_digest {
            wrong.push("GitLab does not take the secret that Factory has".to_owned());
        }
        if integration.domain != "https://gitlab.example.com" {
            wrong.push(format!("Factory has the domain {}", integration.domain));
        }
        let kept = std::fs::read_to_string(stage.folder().join("secret")).unwrap_or_default();
        if self.declared.stores_secret && !kept.is_empty() && digest(kept.trim_end()) != application.secret_digest {
            wrong.push("the secret that is kept is not the application's".to_owned());
        }
        let droid = world.user_named(&self.declared.username);
        let authorization = integration.authorization.as_ref();
        let alive = authorization.is_some_and(|authorization| {
            let digest = digest(&authorization.access_token);
            authorization.broken.is_none()
                && world.oauth_tokens.iter().any(|token| {
                    token.token_digest == digest
                        && token.application_id == application.id
                        && Some(token.user_id) == droid.map(|droid| droid.id)
                        && token.alive(world.now())
                })
        });
        if !alive {
            wrong.push(format!("Factory does not act as the droid: {authorization:?}"));
        }
        if droid.is_some_and(|droid| !droid.email.eq_ignore_ascii_case(self.declared.email)) {
            wrong.push("the droid has another address".to_owned());
        }
    }
}

fn to_the_record(request: &RequestLog) -> bool {
    request.path.contains("/terraform/state/")
}

/// Signing in leaves traces, and may.
fn forget_traces(world: &mut World) {
    for user in &mut world.users {
        user.current_sign_in_at = None;
        user.last_sign_in_at = None;
        user.known_addresses.clear();
        user.last_activity_on = None;
    }
    world.sessions.clear();
    world.terraform_states.clear();
    // Factory renews its own tokens when it looks at GitLab, and finds that they no longer work.
    world.oauth_tokens.clear();
    if let Some(integration) = &mut world.factory.integration
        && let Some(authorization) = &mut integration.authorization
    {
        authorization.broken = None;
    }
    world.last_ids.clear();
    world.factory.audit.clear();
    world.switches.faults.clear();
}

fn path_of(world: &World, source: Source) -> &str {
    match source {
        Source::Group(id) => world.group(id).map_or("", |group| &group.full_path),
        Source::Project(id) => world.project(id).map_or("", |project| &project.full_path),
    }
}

/// A plan as data.
struct Plan(Value);

fn text<'a>(change: &'a Value, key: &str) -> &'a str {
    change[key].as_str().unwrap_or_default()
}

impl Plan {
    fn changes(&self) -> impl Iterator<Item = &Value> {
        self.0["changes"].as_array().into_iter().flatten()
    }

    fn of(&self, address: &str) -> Option<&Value> {
        self.changes().find(|change| text(change, "address") == address)
    }

    /// Whether all that is left is for a person to do, or cannot be done.
    fn is_settled(&self) -> bool {
        self.changes().all(|change| self.waits(change))
    }

    fn waits(&self, change: &Value) -> bool {
        let mut parents = change["depends_on"].as_array().into_iter().flatten();
        text(change, "status") != "ready"
            || parents.any(|parent| {
                let parent = self.of(parent.as_str().unwrap_or_default());
                parent.is_some_and(|parent| self.waits(parent))
            })
    }
}

fn plan(stage: &Stage) -> Result<Plan, String> {
    let ended = stage.run(&["plan", "--format", "json"]);
    if ended.code != Some(0) {
        return Err(format!("a plan without mishaps: {}", ended.all()));
    }
    let plan = serde_json::from_str(&ended.stdout).map_err(|error| format!("{error}: {}", ended.all()))?;
    Ok(Plan(plan))
}

fn plan_after(stage: &Stage, ended: &Ended) -> Result<Plan, String> {
    plan(stage).map_err(|why| format!("{why}\nafter\n{}", ended.all()))
}

/// Without mishaps each change is one write of its kind, and nothing else is written.
fn counted(plan: &Plan, ended: &Ended, requests: &[RequestLog]) -> Result<(), String> {
    let writes = |method: &str, part: &str| {
        let found = requests
            .iter()
            .filter(|request| !request.by_factory && api_write(request));
        found
            .filter(|request| (method.is_empty() || request.method == method) && request.path.contains(part))
            .count()
    };
    let planned = |prefix: &str| {
        let ready = plan.changes().filter(|change| !plan.waits(change));
        ready
            .filter(|change| text(change, "address").starts_with(prefix))
            .count()
    };
    let mut wrong = Vec::new();
    let mut expect = |what: &str, planned: usize, made: usize| {
        if planned != made {
            wrong.push(format!("{planned} changes of {what} are {made} writes"));
        }
    };
    expect("roles", planned("gitlab.membership"), writes("", "/members"));
    let created = |address: &str| {
        plan.of(address)
            .is_some_and(|change| !plan.waits(change) && change["actions"][0] == "create")
    };
    // A replacement that an earlier run began has its new application, and makes no more than the secret.
    let is_renewed = |change: &Value| text(change, "reason") == "secret_unknown";
    let renewed = plan.of("gitlab.application").is_some_and(is_renewed);
    expect(
        "a new application",
        usize::from(created("gitlab.application") && !renewed),
        writes("POST", "/applications") - writes("POST", "/renew-secret"),
    );
    expect(
        "a new user",
        usize::from(created("gitlab.user")),
        requests
            .iter()
            .filter(|request| request.method == "POST" && request.path.ends_with("/api/v4/users"))
            .count(),
    );
    // Where GitLab refused the secret that Factory had, both were written once more, as the plan says.
    let connected = writes("PUT", "/gitlab-sh");
    let possible = plan
        .of("factory.authorization")
        .is_some_and(|change| change["fallback"].is_object());
    let again = usize::from(possible && connected > planned("factory.connection"));
    expect("the connection", planned("factory.connection") + again, connected);
    expect(
        "the authorization",
        planned("factory.authorization") + again,
        writes("POST", "/authorizations"),
    );
    expect(
        "the selection",
        usize::from(planned("factory.repository") > 0),
        writes("PATCH", "/repositories"),
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\n{:#}\n{}", wrong.join("\n"), plan.0, ended.all()))
    }
}

/// Several faults in one run.
#[derive(Default)]
struct Several {
    injectors: Mutex<Vec<Arc<Injector>>>,
    begun: AtomicBool,
}

impl Several {
    /// From here on requests count.
    fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    fn all(&self) -> Vec<Arc<Injector>> {
        self.injectors.lock().expect("nobody panics with it").clone()
    }

    /// Nothing happens any more; how many came to it.
    fn end(&self) -> usize {
        let all = self.all();
        for injector in &all {
            injector.end();
        }
        all.iter().filter(|injector| injector.injected()).count()
    }

    /// Each has to see the request, for it counts.
    fn first(&self, ask: impl Fn(&Injector) -> Action) -> Action {
        if !self.begun.load(Ordering::SeqCst) {
            return Action::Pass;
        }
        let mut actions = self
            .all()
            .into_iter()
            .map(|injector| ask(&injector))
            .collect::<Vec<_>>();
        actions.retain(|action| *action != Action::Pass);
        actions.into_iter().next().unwrap_or_default()
    }
}

impl Intercept for Several {
    fn before(&self, request: &Seen) -> Action {
        self.first(|injector| injector.before(request))
    }

    fn after(&self, request: &Seen, status: u16) -> Action {
        self.first(|injector| injector.after(request, status))
    }
}

/// What a recorded membership is of, which keeps its id where it moves.
fn source_of(recorded: &Value) -> Option<Source> {
    let id = recorded["id"].as_u64()?;
    match recorded["kind"].as_str()? {
        "group" => Some(Source::Group(id)),
        "project" => Some(Source::Project(id)),
        _ => None,
    }
}
