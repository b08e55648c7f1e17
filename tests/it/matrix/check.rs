//! What must hold once the program has said that it is done, read from the world itself.

use std::collections::BTreeSet;

use setpoint::sandbox::World;
use setpoint::sandbox::world::{User, digest};

use super::scenario::Scenario;
use super::stage::{Ended, Stage};

const NAME: &str = "Factory Integration";
const DROID: &str = "factory-droid";

/// All that is wrong, or nothing.
pub(super) fn check(scenario: &Scenario, stage: &Stage) -> Result<(), String> {
    let world = stage.world();
    let mut wrong = Vec::new();
    let before = undeclared(&scenario.start().world);
    let after = undeclared(&world);
    for ((what, before), (_, after)) in before.iter().zip(&after) {
        if before != after {
            wrong.push(format!("undeclared {what} changed:\n{before}\n{after}"));
        }
    }
    if scenario.destroyed {
        gone(scenario, &world, &mut wrong);
    } else {
        connected(scenario, stage, &world, &mut wrong);
    }
    settled(scenario, stage, &mut wrong);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// The integration is whole: one application, one user, a secret that GitLab takes, and Factory acts as the droid.
fn connected(scenario: &Scenario, stage: &Stage, world: &World, wrong: &mut Vec<String>) {
    let named: Vec<_> = world
        .applications
        .iter()
        .filter(|application| application.name == NAME)
        .collect();
    let [application] = named[..] else {
        wrong.push(format!("there are {} applications of the name", named.len()));
        return;
    };
    let old = scenario
        .start()
        .world
        .applications
        .iter()
        .find(|application| application.name == NAME);
    if scenario.replaced && old.is_some_and(|old| old.id == application.id) {
        wrong.push("the application was not replaced".to_owned());
    }
    if scenario.is_by_hand() && old.is_some_and(|old| format!("{old:?}") != format!("{application:?}")) {
        wrong.push("the application is not as somebody made it".to_owned());
    }
    if scenario.command[0] == "rotate" && old.is_some_and(|old| old.secret_digest == application.secret_digest) {
        // A run that was ended before its first write, followed by an apply, has rotated nothing.
        if scenario.again[0] == "rotate" {
            wrong.push("the secret was not rotated".to_owned());
        }
    }
    let droids: Vec<_> = world.users.iter().filter(|user| user.username == DROID).collect();
    let [droid] = droids[..] else {
        wrong.push(format!("there are {} users of the name", droids.len()));
        return;
    };
    if scenario.setting.second_factor {
        let kept = std::fs::read_to_string(stage.folder().join("totp")).unwrap_or_default();
        wrong.extend(second_factor(&kept, droid));
    }
    if scenario.setting.terms && droid.accepted_terms != world.terms_in_force() {
        wrong.push(format!("the droid has accepted the terms {:?}", droid.accepted_terms));
    }
    let kept = stage.folder().join("secret");
    if kept.exists() {
        let text = std::fs::read_to_string(&kept).unwrap_or_default();
        if digest(text.trim_end()) != application.secret_digest {
            wrong.push("the secret that was kept is not the application's".to_owned());
        }
    }
    let Some(integration) = &world.factory.integration else {
        wrong.push("Factory has no integration".to_owned());
        return;
    };
    if integration.application_id != application.uid {
        wrong.push("Factory has another application".to_owned());
    }
    if digest(&integration.secret) != application.secret_digest {
        wrong.push("GitLab does not take the secret that Factory has".to_owned());
    }
    let alive = |token: &str| {
        let digest = digest(token);
        world.oauth_tokens.iter().any(|known| {
            known.token_digest == digest
                && known.application_id == application.id
                && known.user_id == droid.id
                && known.alive(world.now())
        })
    };
    match &integration.authorization {
        Some(authorization) if authorization.broken.is_some() => wrong.push("the authorization is broken".to_owned()),
        Some(authorization) if authorization.user_id != droid.id => {
            wrong.push(format!("Factory acts as {}", authorization.username));
        }
        Some(authorization) if !alive(&authorization.access_token) => {
            wrong.push("GitLab does not take Factory's token".to_owned());
        }
        Some(_) => {}
        None => wrong.push("Factory is not authorized".to_owned()),
    }
}

/// What is wrong with what is kept: it is the key of the authenticator that GitLab has, with the codes that go with it.
pub(crate) fn second_factor(kept: &str, droid: &User) -> Option<String> {
    let mut lines = kept.lines();
    if droid.totp_secret.as_deref() != lines.next() {
        return Some("the key that is kept is not that of the droid's authenticator".to_owned());
    }
    let codes: BTreeSet<String> = lines.map(digest).collect();
    let is_whole = codes.len() == 10 && codes == droid.recovery_digests;
    (!is_whole).then(|| format!("{} recovery codes are kept, and not those of GitLab", codes.len()))
}

/// The integration is gone.
fn gone(scenario: &Scenario, world: &World, wrong: &mut Vec<String>) {
    if world.applications.iter().any(|application| application.name == NAME) {
        wrong.push("the application is still there".to_owned());
    }
    if world.factory.integration.is_some() {
        wrong.push("the connection is still there".to_owned());
    }
    if world.user_named(DROID).is_some() == scenario.user_deleted {
        wrong.push(format!("the user is there: {}", world.user_named(DROID).is_some()));
    }
}

/// Nothing is left to do, nothing is left behind that keeps the next run from working.
fn settled(scenario: &Scenario, stage: &Stage, wrong: &mut Vec<String>) {
    // Before anything else is run: a run that looks again takes back what is done.
    let record = stage.record().unwrap_or_default();
    if record.contains("\"intents\"") {
        wrong.push("an announcement is left in the record".to_owned());
    }
    let writes = stage.requests().iter().filter(|request| api_write(request)).count();
    if scenario.destroyed {
        let again = stage.run(scenario.again);
        if again.code != Some(0) {
            wrong.push(format!("a second destroy: {}", again.all()));
        }
    } else {
        let plan = stage.run(&["plan", "--detailed-exitcode"]);
        if plan.code != Some(0) {
            wrong.push(format!("the plan is not empty: {}", plan.all()));
        }
        let apply = stage.run(&["apply", "--auto-approve"]);
        if apply.code != Some(0) {
            wrong.push(format!("an apply with nothing to do: {}", apply.all()));
        }
    }
    let more = stage.requests().iter().filter(|request| api_write(request)).count() - writes;
    if more > 0 {
        wrong.push(format!("{more} writes where nothing was to be done"));
    }
    if stage.world().terraform_states.iter().any(|state| state.lock.is_some()) {
        wrong.push("the record is still locked".to_owned());
    }
    if let Some(stray) = left_behind(stage.folder()) {
        wrong.push(format!("{stray} is left behind"));
    }
}

/// A file beside the record that only a run that is under way has a use for.
pub(crate) fn left_behind(folder: &std::path::Path) -> Option<String> {
    let entries = std::fs::read_dir(folder.join(".setpoint"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.find(|name| name.contains(".tmp") || name.split('.').next_back() == Some("lock"))
}

/// Sign-ins and other pages are no changes, nor is the lock of the record.
pub(super) fn api_write(request: &setpoint::sandbox::RequestLog) -> bool {
    request.write && request.path.contains("/api/v") && !request.path.ends_with("/lock")
}

/// Whether a run that left something ends with one command that goes on from there, and names no other.
pub(super) fn names_one_next_command(ended: &Ended) -> Result<(), String> {
    let commands = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("    setpoint "))
        .count();
    let last = ended.stdout.trim_end().lines().next_back().unwrap_or_default();
    if commands == 1 && last.starts_with("    setpoint ") {
        Ok(())
    } else {
        Err(format!("it does not end with one next command: {}", ended.all()))
    }
}

/// Everything in the world that no configuration here speaks of, by what it is.
pub(crate) fn undeclared(world: &World) -> Vec<(&'static str, String)> {
    let droid = world.user_named(DROID).map(|user| user.id);
    let users: Vec<_> = world
        .users
        .iter()
        .filter(|user| Some(user.id) != droid)
        .map(|user| {
            // Signing in leaves traces, and may.
            let mut user = user.clone();
            user.totp_last_step = None;
            user.current_sign_in_at = None;
            user.last_sign_in_at = None;
            user.known_addresses.clear();
            user.last_activity_on = None;
            user
        })
        .collect();
    let members: Vec<_> = world
        .members
        .iter()
        .filter(|member| Some(member.user_id) != droid)
        .collect();
    let applications: Vec<_> = world
        .applications
        .iter()
        .filter(|application| application.name != NAME)
        .collect();
    let factory = (&world.factory.name, &world.factory.plan, &world.factory.keys);
    vec![
        ("users", format!("{users:?}")),
        ("tokens", format!("{:?}", world.personal_tokens)),
        ("groups", format!("{:?}", world.groups)),
        ("projects", format!("{:?}", world.projects)),
        ("members", format!("{members:?}")),
        ("applications", format!("{applications:?}")),
        ("parts of Factory", format!("{factory:?}")),
        ("switches", format!("{:?}", world.switches)),
    ]
}
