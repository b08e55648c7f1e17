//! A mishap at any point: connections that break, servers that are busy, down or in the way, answers that are none.
//! It ends converged, or with one clear error and exit code 1 or 3; when the mishap is over, it converges.

use std::sync::Arc;

use setpoint::sandbox::Action;

use super::check::check;
use super::injector::{Fault, Injector, Reach};
use super::point::{Point, converge, kinds, record, release};
use super::rng::Rng;
use super::scenario::Scenario;
use super::stage::{Ended, Stage};
use super::{Extent, Tally, Verdict, each};

/// A mishap.
#[derive(Debug, Clone)]
struct Mishap {
    name: &'static str,
    /// After the request was processed: what is lost is the answer.
    after: bool,
    action: Action,
    /// How far it goes.
    reaches: &'static [Reach],
    /// It takes minutes until the program gives up.
    slow: bool,
}

impl Mishap {
    fn only(self, reaches: &'static [Reach]) -> Self {
        Self { reaches, ..self }
    }

    fn slow(self) -> Self {
        Self { slow: true, ..self }
    }
}

/// Once, or at all requests of the kind.
const BOTH: &[Reach] = &[Reach::Once, Reach::Kind];
/// From here on at all requests to the side.
const FROM_HERE: &[Reach] = &[Reach::Side];
/// Once, which by its nature is all.
const ONCE: &[Reach] = &[Reach::Once];

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Action {
    Action::Respond {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

const HTML: (&str, &str) = ("content-type", "text/html");
const JSON: (&str, &str) = ("content-type", "application/json");
const GATEWAY: &str = "<html><head><title>Error</title></head><body><h1>Whoops</h1></body></html>";
const LOGIN: &str = "<!DOCTYPE html><html><body><form action=\"/login\" method=\"post\">\
    <input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>";

/// All of them.
fn mishaps() -> Vec<Mishap> {
    let before = |name, action| Mishap {
        name,
        after: false,
        action,
        reaches: BOTH,
        slow: false,
    };
    let after = |name, action| Mishap {
        name,
        after: true,
        action,
        reaches: BOTH,
        slow: false,
    };
    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    vec![
        before("reset before", Action::Drop),
        after("reset after", Action::Drop),
        after("half an answer", Action::Truncate(40)),
        after("an answer without its end", Action::Truncate(250)),
        before("429", answer(429, &[], "Retry later")),
        before("429 for a second", answer(429, &[("retry-after", "1")], "Retry later")),
        before(
            "429 until a date",
            answer(429, &[("retry-after", &date)], "Retry later"),
        ),
        before(
            "429 for years",
            answer(429, &[("retry-after", "99999999")], "Retry later"),
        ),
        before("500", answer(500, &[HTML], GATEWAY)),
        after("500 after", answer(500, &[HTML], GATEWAY)),
        before("502", answer(502, &[HTML], GATEWAY)),
        after("502 after", answer(502, &[HTML], GATEWAY)),
        before("503", answer(503, &[HTML], GATEWAY)),
        before("504", answer(504, &[HTML], GATEWAY)),
        after("504 after", answer(504, &[HTML], GATEWAY)),
        before(
            "maintenance",
            answer(
                503,
                &[JSON],
                r#"{"message":"GitLab is undergoing maintenance. Maintenance mode"}"#,
            ),
        ),
        before(
            "read-only",
            answer(
                403,
                &[JSON],
                r#"{"message":"You cannot perform write operations on a read-only instance"}"#,
            ),
        ),
        before("401", answer(401, &[JSON], r#"{"message":"401 Unauthorized"}"#)),
        after("no JSON", answer(200, &[JSON], "{\"id\": 1, ")),
        after("JSON of another shape", answer(200, &[JSON], "\"fine\"")),
        after("10 MB", Action::Bloat(10 << 20)),
        before(
            "redirect elsewhere",
            answer(302, &[("location", "https://elsewhere.example.com/x")], ""),
        ),
        before(
            "a redirect to the sign-in",
            answer(302, &[("location", "/users/sign_in")], ""),
        ),
        before("a login page", answer(200, &[HTML], LOGIN)),
        before("nothing", answer(200, &[], "")),
        before("404 of a proxy", answer(404, &[HTML], GATEWAY)),
        before(
            "401 from here on",
            answer(401, &[JSON], r#"{"message":"401 Unauthorized"}"#),
        )
        .only(FROM_HERE),
        before("503 from here on", answer(503, &[HTML], GATEWAY)).only(FROM_HERE),
        before("away for a second", Action::Away(1_000)).only(ONCE),
        before("away", Action::Away(0)).only(ONCE),
        after("away after", Action::Away(0)).only(ONCE),
        after(
            "a slow answer",
            Action::Drip {
                pieces: 4,
                every_ms: 250,
            },
        ),
        after("an answer without end", Action::Endless),
        before("no answer", Action::Hang).slow(),
        after("no answer after", Action::Hang).slow(),
        after(
            "a byte at a time",
            Action::Drip {
                pieces: usize::MAX,
                every_ms: 20_000,
            },
        )
        .slow(),
    ]
}

/// A point, a mishap, and how far it goes.
type Trial = (Point, Mishap, Reach);

/// Runs the fault matrix of a scenario: every kind of request with every mishap, once and lasting; a part of it has
/// with each third kind of request one mishap, another from kind to kind.
pub(crate) fn matrix(scenario: &Scenario, extent: Extent, workers: usize) -> Tally {
    let points = match record(scenario) {
        Ok(points) => kinds(points),
        Err(why) => return Tally::broken(why),
    };
    let mishaps = mishaps();
    // The scenarios begin at different places in the list, so that together they try more of it.
    let offset = scenario.name.len();
    let trials: Vec<Trial> = match extent {
        Extent::All | Extent::Every(_) => points
            .iter()
            .flat_map(|point| mishaps.iter().map(move |mishap| (point.clone(), mishap.clone())))
            .flat_map(|(point, mishap)| {
                let reaches = mishap.reaches;
                reaches.iter().map(move |reach| (point.clone(), mishap.clone(), *reach))
            })
            .collect(),
        Extent::Part => {
            let quick: Vec<Mishap> = mishaps.into_iter().filter(|mishap| !mishap.slow).collect();
            let trial = |(at, point): (usize, Point)| {
                let mishap = quick[(at + offset) % quick.len()].clone();
                let reach = mishap.reaches[usize::from(at % 4 == 3) % mishap.reaches.len()];
                (point, mishap, reach)
            };
            points.into_iter().enumerate().map(trial).collect()
        }
    };
    let trials: Vec<Trial> = trials.into_iter().filter(|trial| !is_success(trial)).collect();
    let trials = extent.of(trials);
    let name = |(point, mishap, reach): &Trial| {
        let often = match reach {
            Reach::Once => "once",
            Reach::Kind => "lasting",
            Reach::Side => "lasting, the whole side",
        };
        format!("{}, {} ({often}) at {}", scenario.name, mishap.name, point.kind)
    };
    each(&trials, workers, name, |(point, mishap, reach)| {
        try_at(scenario, point.number, mishap, *reach)
    })
}

/// Nothing, with status 200, is what GitLab answers itself where its record was written, locked and let go: nobody could
/// tell. The other writes of both sides answer in other words.
fn is_success((point, mishap, _): &Trial) -> bool {
    mishap.name == "nothing" && point.write && point.kind.contains("/terraform/state/")
}

/// A quick mishap by chance: its name, whether it comes after the request, what it does and how far it goes.
pub(super) fn mishap_of(rng: &mut Rng) -> (&'static str, bool, Action, Reach) {
    let mut quick = mishaps();
    quick.retain(|mishap| !mishap.slow);
    let mishap = rng.pick(&quick);
    (
        mishap.name,
        mishap.after,
        mishap.action.clone(),
        *rng.pick(mishap.reaches),
    )
}

fn try_at(scenario: &Scenario, number: usize, mishap: &Mishap, reach: Reach) -> Verdict {
    let mut injector = None;
    let stage = Stage::new(scenario.start(), |child| {
        let fault = Fault::Act(mishap.action.clone());
        let made = Arc::new(Injector::new(child, number, mishap.after, fault, reach));
        injector = Some(Arc::clone(&made));
        Some(made)
    });
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", "1"]);
    let ended = stage.run(&command);
    let Some(injector) = injector.filter(|injector| injector.injected()) else {
        return Ok(None);
    };
    injector.end();
    stage.come_back();
    sound(&ended)?;
    if ended.code == Some(0) {
        if stage.world().terraform_states.iter().any(|state| state.lock.is_some()) {
            // Done, but for the lock, which a warning names.
            release(&stage, &ended)?;
        }
        return check(scenario, &stage)
            .map(|()| Some(0))
            .map_err(|why| format!("it said that it was done: {why}"));
    }
    converge(scenario, &stage, |ended| match ended.code {
        Some(3) => Ok(()),
        _ => Err(format!("the run after it: {}", ended.all())),
    })
    .map(|attempt| Some(attempt + 1))
}

/// Whether a run ended in an orderly way: one error, in words, and no secret in it.
fn sound(ended: &Ended) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {}", ended.all()));
    private(ended)?;
    let errors = ended.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    match ended.code {
        Some(0) => Ok(()),
        Some(1) if errors == 1 => Ok(()),
        Some(1) => wrong("not exactly one error"),
        Some(3) if ended.stdout.contains("Failed:") => Ok(()),
        Some(3) => wrong("what failed is not said"),
        _ => wrong("an exit code that is not due"),
    }
}

/// Whether a run shows no secret, and did not panic.
pub(super) fn private(ended: &Ended) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {}", ended.all()));
    for secret in [
        "sandbox-root-password",
        "glpat-sandbox",
        "sandbox-droid-password",
        "fk-sandbox",
        "gloas-",
    ] {
        if ended.stdout.contains(secret) || ended.stderr.contains(secret) {
            return wrong("a secret is shown");
        }
    }
    if ended.stderr.contains("panicked") {
        return wrong("it panicked");
    }
    Ok(())
}
