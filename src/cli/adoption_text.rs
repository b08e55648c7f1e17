//! What `adopt` shows before it asks: the application, and what is known of who uses it.

use std::fmt::Write as _;

use crate::app::console::Found;
use crate::model::{Evidence, FactorySource, IntegrationStatus, ObservedApplication, SecretCheck};
use crate::render::text::{sanitize, wrap};

/// What there is, and what bears out what, for so many columns.
pub(super) fn proposal(found: &Found<'_>, width: usize) -> String {
    let Found {
        environment,
        observed,
        application,
        evidence,
    } = found;
    let mut out = format!(
        "{}\n{}\n",
        environment.lines(width),
        wrap(
            &sanitize(&format!(
                "The application {:?} (id {}) exists, and Setpoint neither made it nor has a record of it. Adopting it \
                 writes to neither side: it is recorded as it is, and its secret stays in force.",
                application.fields.name, application.id
            )),
            width,
            "",
            ""
        )
    );
    let mut known = vec![format!("Its application id is {}.", application.uid)];
    known.push(
        match &observed.gitlab.secret {
            SecretCheck::Accepted { fingerprint: _ } => "GitLab accepts the secret that application.secret.load gives.",
            SecretCheck::Rejected { fingerprint: _ } => {
                "GitLab refuses the secret that application.secret.load gives: it is another's, or an older one. Who has the \
                 present one cannot be seen."
            }
            SecretCheck::NoneStored | SecretCheck::NotChecked => {
                "application.secret.load gives no secret, so it stays unknown to Setpoint: only Factory has it."
            }
        }
        .to_owned(),
    );
    if let Some(user) = &observed.gitlab.user {
        let name = &user.fields.username;
        if observed.factory.source == FactorySource::Attested {
            known.push(authorized(name, *evidence, application));
        }
        known.push(match &user.last_activity_on {
            Some(day) => format!("`{name}` did something in GitLab last on {day}; Setpoint's own sign-ins count."),
            None => format!("GitLab does not say when `{name}` did something last."),
        });
    }
    known.push(match (observed.factory.source, &observed.factory.integration) {
        (FactorySource::Attested, _) => "Factory's half cannot be asked: what it has is for you to say.".to_owned(),
        (FactorySource::Live, None) => "Factory says that it is connected to no GitLab.".to_owned(),
        (FactorySource::Live, Some(live)) => {
            let works = match live.status {
                IntegrationStatus::Connected => "and works with it",
                IntegrationStatus::Configured => "and is not authorized",
                IntegrationStatus::Error => "and reports an error",
            };
            if live.application == application.uid {
                format!("Factory has this application {works}.")
            } else {
                format!("Factory has another application ({}) {works}.", live.application)
            }
        }
    });
    out.push('\n');
    for line in known {
        let _ = writeln!(out, "{}", wrap(&sanitize(&line), width, "- ", "  ").trim_end());
    }
    out.push('\n');
    out
}

fn authorized(droid: &str, evidence: Option<&Evidence>, application: &ObservedApplication) -> String {
    match evidence.map(|evidence| evidence.authorized.get(&application.id)) {
        Some(Some(Some(at))) => format!(
            "GitLab lists it (id {}) as authorized by `{droid}` since {}.",
            application.id,
            at.strftime("%Y-%m-%d %H:%M UTC")
        ),
        Some(Some(None)) => format!("GitLab lists it (id {}) as authorized by `{droid}`.", application.id),
        Some(None) => format!("GitLab does not list it as authorized by `{droid}`."),
        None => format!("Which applications `{droid}` authorized could not be read."),
    }
}
