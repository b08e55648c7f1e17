//! Files that Setpoint writes itself, read back after anything may have happened to them.

use serde_json::Value;

use super::{expect_clean, expect_harmless};
use crate::model::{Change, RecordedState};
use crate::planner::fixture::converged;
use crate::render::{self, Environment, PlanDocument, SecretPlace, StepFacts};
use crate::{planfile, state};

/// A saved plan, as it is and with a digest that fits: what is taken for a plan can be shown in every form.
pub fn saved_plan(data: &[u8]) {
    if let Err(error) = planfile::read(data) {
        expect_clean(&error.to_string());
    }
    let Ok(Value::Object(file)) = serde_json::from_slice(data) else {
        return;
    };
    let Ok(plan) = planfile::read(&planfile::with_digest(file)) else {
        return;
    };
    let plan = plan.plan;
    let environment = Environment::example();
    expect_harmless(&render::plan(&plan, &environment, 80));
    expect_harmless(&render::drift(&plan, &environment, 80));
    let short = render::markdown(&plan, &environment, Some(render::LEAST_CHARS));
    assert!(short.chars().count() <= render::LEAST_CHARS, "{short}");
    expect_harmless(&render::markdown(&plan, &environment, None));
    render::gitlab_report(&plan);
    render::to_json(&PlanDocument::new(&plan, &environment));
    let facts = StepFacts {
        gitlab_url: "https://gitlab.example.com".to_owned(),
        app_url: "https://app.example.com".to_owned(),
        sign_in: None,
        password: None,
        secret: SecretPlace::OnRequest,
        approve_at: None,
        patterns: render::Patterns::default(),
        width: 60,
    };
    let steps: Vec<_> = plan.changes.iter().flat_map(Change::steps_with_address).collect();
    let prompts = render::prompts(&steps);
    for (at, prompt) in (1..).zip(&prompts) {
        let place = render::Place { at, of: prompts.len() };
        expect_harmless(&render::prompt(prompt, place, None, &facts, None));
    }
    expect_harmless(&render::checklist(
        &steps,
        None,
        &facts,
        &environment,
        None,
        &render::Onward {
            when: "When all of it is done",
            command: "setpoint confirm --all".to_owned(),
            stopped: false,
        },
        Some(render::LEAST_CHARS),
    ));
}

/// A state record: what is taken for one survives being written, can be shown, and can be planned from.
pub fn state_record(data: &[u8]) {
    let record = match state::parse(data, "state.json") {
        Ok(record) => record,
        Err(error) => {
            expect_clean(&error.to_string());
            return;
        }
    };
    let text = state::render(&record).unwrap_or_default();
    assert!(state::parse(&text, "state.json").is_ok_and(|again| again == record));
    expect_harmless(&render::record("state.json", Some(&record), "", 80));
    plan_from(record);
}

/// Plans with a record in a world that is as declared, and in one where nothing is there any more.
fn plan_from(record: RecordedState) {
    let mut case = converged();
    case.recorded = record;
    expect_harmless(&render::plan(&case.plan(), &Environment::example(), 80));
    case.observed.gitlab.applications.clear();
    case.observed.gitlab.user = None;
    case.observed.factory.integration = None;
    case.plan();
}
